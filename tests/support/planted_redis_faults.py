"""What can be wrong in Redis: boards, what is kept beside them, and users' balances, days and counts."""

from collections.abc import Callable

from app.store import fields, keys
from tests.support.checked_deployment import Checked, Fault

REDIS_FAULTS: list[Fault] = []


def _fault(plant: Callable[[Checked], str]) -> Callable[[Checked], str]:
    REDIS_FAULTS.append(Fault(plant.__name__, plant))
    return plant


@_fault
def change_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 8})
    return "n: 'ann', board all: 8 in Redis, 7 by the ledger"


@_fault
def remove_member(c: Checked) -> str:
    c.direct.zrem(c.key(keys.board, c.day), c.member("bob", c.day))
    return f"n: 'bob', board {c.day}: nothing in Redis, 3 by the ledger"


@_fault
def add_member(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 99})
    return "n: 'mallory', board all: 99 in Redis, nothing by the ledger"


@_fault
def replace_member(c: Checked) -> str:
    """As many as before, and the sums are not looked at."""
    c.direct.zrem(c.key(keys.board), c.member("dora"))
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 4})
    return "n: 'mallory', board all: 4 in Redis, nothing by the ledger"


@_fault
def add_known_member(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board, f"{c.day}:red"), {c.member("dora"): 4})
    return f"n: board {c.day}:red, users: 2 in Redis, 1 by the ledger"


@_fault
def count_board(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"0" * 16 + b"mallory": 99})
    return "n: board all, users: 6 in Redis, 5 by the ledger"


@_fault
def change_digits(c: Checked) -> str:
    """The hash and the member agree, on a seq that is not that of the last change."""
    c.direct.zrem(c.key(keys.board), c.member("ann"))
    c.direct.hset(c.key(keys.tie_prefixes), "ann", b"8999999999999999")
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 7})
    return "n: 'ann', order on board all: 1 in Redis, 3 by the ledger"


@_fault
def change_member_digits(c: Checked) -> str:
    """The hash still tells the right ones."""
    member = c.member("ann")
    c.direct.zrem(c.key(keys.board), member)
    c.direct.zadd(c.key(keys.board), {member.replace(b"7ann", b"6ann"): 7})
    return "n: 'ann', board all: 7 as of seq 4 in Redis, nothing by the ledger"


@_fault
def lose_orders(c: Checked) -> str:
    c.direct.hdel(c.key(keys.tie_prefixes, c.day), "bob")
    return f"n: board {c.day}, orders: 5 in Redis, 6 by the ledger"


@_fault
def lose_dense_score(c: Checked) -> str:
    c.direct.zrem(c.key(keys.distinct_scores), "7")
    return "n: 'ann', board all: 7 is not among the scores that dense ranks are counted by"


@_fault
def add_dense_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.distinct_scores), {"9": 9})
    return "n: board all: dense ranks count the score 9, which nobody has"


@_fault
def change_sum(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), "t:all", "22 111")
    return "n: board all, sum of scores: 22 in Redis, 21 by the ledger"


@_fault
def change_squares(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), f"t:{c.day}:red", "5 26")
    return f"n: board {c.day}:red, sum of squares: 26 in Redis, 25 by the ledger"


@_fault
def change_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "0", 22)
    return "n: board all: the sum of scores from 0 to 7 is 22, what lies there comes to 21"


@_fault
def lose_bounded_sum(c: Checked) -> str:
    c.direct.hdel(c.key(keys.sum_tree), "2")
    return "n: board all: the sum of scores from 0 to 32767 is 0, what lies there comes to 21"


@_fault
def spoil_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "1", "abc")
    return "n: board all: the sum of scores from 0 to 511 is 'abc', what lies there comes to 21"


@_fault
def add_bounded_sum(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "-8", -5)
    return "n: board all: the sum of scores from -8 to -1 is -5, what lies there comes to 0"


@_fault
def add_strange_sum(c: Checked) -> str:
    """So far out that a double cannot count there."""
    c.direct.hset(c.key(keys.sum_tree), "99999999999999999999", 1)
    return "n: board all: its bounded sums hold '99999999999999999999', which is no stretch"


@_fault
def write_sum_otherwise(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), "1", "0021")
    return "n: board all: the sum of scores from 0 to 511 is '0021', what lies there comes to 21"


@_fault
def lose_bounded_sums(c: Checked) -> str:
    c.direct.delete(c.key(keys.sum_tree, c.day))
    return f"n: board {c.day}, bounded sums together: 0 in Redis, 21 by the ledger"


@_fault
def mark_bounded_sums(c: Checked) -> str:
    c.direct.hset(c.key(keys.sum_tree), mapping={"broken": 1, "x": 2})
    return "n: board all: its bounded sums are marked as damaged"


@_fault
def change_total(c: Checked) -> str:
    c.direct.hincrby(c.balances("dora"), "total", 1)
    return "n: 'dora', total: 5 in Redis, 4 by the ledger"


@_fault
def change_count(c: Checked) -> str:
    c.direct.hincrby(c.balances("dora"), "count", -1)
    return "n: 'dora', count: 0 in Redis, 1 by the ledger"


@_fault
def lose_category(c: Checked) -> str:
    c.direct.hdel(c.balances("bob"), "c:blue")
    return "n: 'bob', category blue: nothing in Redis, 3 by the ledger"


@_fault
def change_source(c: Checked) -> str:
    c.direct.hincrby(c.balances("bob"), "s:race", 1)
    return "n: 'bob', source race: 4 in Redis, 3 by the ledger"


@_fault
def add_day(c: Checked) -> str:
    c.direct.hset(c.days("bob"), "1", b"\x02")
    return "n: 'bob', day 0002-05-28: 1 in Redis, 0 by the ledger"


@_fault
def lose_days(c: Checked) -> str:
    c.direct.delete(c.days("bob"))
    return f"n: 'bob', day {c.day}: 0 in Redis, 1 by the ledger"


@_fault
def lose_user(c: Checked) -> str:
    c.direct.delete(c.balances("eve"))
    return "n: 'eve', total: 0 in Redis, 6 by the ledger"


@_fault
def show_hidden(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("gus"): 2})
    return "n: 'gus', board all: 2 in Redis, though hidden"


@_fault
def hide_shown(c: Checked) -> str:
    c.direct.zrem(c.key(keys.board), c.member("eve"))
    c.direct.hset(c.balances("eve"), "h:all", 6)
    return "n: 'eve', board all: 6 is kept as of one who is hidden, though shown"


@_fault
def change_hidden(c: Checked) -> str:
    c.direct.hset(c.balances("gus"), f"h:{c.day}", 3)
    return f"n: 'gus', board {c.day}: 3 in Redis, 2 by the ledger"


@_fault
def spoil_total(c: Checked) -> str:
    c.direct.hset(c.balances("dora"), "total", "abc")
    return "n: 'dora', total: 'abc' in Redis, 4 by the ledger"


@_fault
def spoil_score(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): "inf"})
    return "n: 'ann', board all: 'inf' in Redis, 7 by the ledger"


@_fault
def change_score_by_a_part(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {c.member("ann"): 7.5})
    return "n: 'ann', board all: '7.5' in Redis, 7 by the ledger"


@_fault
def spoil_stray(c: Checked) -> str:
    c.direct.zadd(c.key(keys.board), {b"x" * 16 + b"ann": "-inf"})
    return f"n: 'ann', board all: '-inf' behind {b'x' * 16!r} in Redis, nothing by the ledger"


@_fault
def spoil_digits(c: Checked) -> str:
    c.direct.hset(c.key(keys.tie_prefixes), "ann", "abc")
    return "n: 'ann', order on board all: 'abc' in Redis, 3 by the ledger"


@_fault
def spoil_hidden(c: Checked) -> str:
    c.direct.hset(c.balances("gus"), f"h:{c.day}", "2.5")
    return f"n: 'gus', board {c.day}: '2.5' in Redis, 2 by the ledger"


@_fault
def spoil_balances(c: Checked) -> str:
    c.direct.set(c.balances("dora"), "abc")
    return f"n: 'dora', {c.balances('dora')}: it is not of the type hash"


@_fault
def spoil_stretch(c: Checked) -> str:
    c.direct.hset(c.days("dora"), "1", "x" * 65)
    return f"n: 'dora', day 1: '{'x' * 65}' in Redis, 0 by the ledger"


@_fault
def spoil_days(c: Checked) -> str:
    c.direct.set(c.days("dora"), "abc")
    return f"n: 'dora', {c.days('dora')}: it is not of the type hash"


def spoil_kind(kind: Callable[[int, int, str], str], c: Checked, key_type: str) -> str:
    c.direct.set(c.key(kind), "abc")
    return f"n: board all, {c.key(kind)}: it is of the type string, not {key_type}"


@_fault
def spoil_board(c: Checked) -> str:
    return spoil_kind(keys.board, c, "zset")


@_fault
def spoil_orders(c: Checked) -> str:
    return spoil_kind(keys.tie_prefixes, c, "hash")


@_fault
def spoil_dense_scores(c: Checked) -> str:
    return spoil_kind(keys.distinct_scores, c, "zset")


@_fault
def spoil_bounded_sums(c: Checked) -> str:
    """Faults elsewhere are reported too."""
    spoil_kind(keys.sum_tree, c, "hash")
    return spoil_total(c)


@_fault
def change_count_of_boards(c: Checked) -> str:
    c.direct.hincrby(keys.namespace(c.p, 1), fields.BOARD_COUNT, 2)
    return "n: open boards as its quota counts them: 14 in Redis, of which 12 are there"


@_fault
def change_count_of_users(c: Checked) -> str:
    c.direct.hincrby(keys.namespace(c.p, 1), fields.USER_COUNT, -1)
    return "n: users as its quota counts them: 6 in Redis, 7 by the ledger"


@_fault
def spoil_count_of_users(c: Checked) -> str:
    c.direct.hset(keys.namespace(c.p, 1), fields.USER_COUNT, "many")
    return "n: users as its quota counts them: 'many' in Redis, 7 by the ledger"
