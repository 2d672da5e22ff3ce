"""Who comes next where many wait."""

from app.drivers.fair_queue import FairQueue


def taken(turns: FairQueue[str], count: int) -> str:
    return "".join(turns.pop() for _ in range(count))


def test_clients_alternate_whatever_each_has_waiting() -> None:
    turns: FairQueue[str] = FairQueue(1)
    for _ in range(5):
        turns.push("a", [(1, "a")])
    turns.push("b", [(1, "b")])
    turns.push("c", [(1, "c")])
    assert sorted(taken(turns, 3)) == ["a", "b", "c"]
    assert taken(turns, 4) == "aaaa"
    assert not turns


def test_small_work_passes_large_work_until_that_has_saved_up() -> None:
    turns: FairQueue[str] = FairQueue(64)
    turns.push("batch", [(128, "B")] * 3)
    for _ in range(100):
        turns.push("single", [(1, "s")])
    order = taken(turns, 103)
    assert order.startswith("s" * 64)
    assert order.count("s") == 100
    # A client that waits with as much gets as much: 64 singles a turn against half a part of the batch.
    assert order.index("B") in range(64, 129)


def test_the_jobs_of_one_client_take_turns_too() -> None:
    turns: FairQueue[str] = FairQueue(64)
    turns.push("k", [(64, "1"), (64, "2"), (64, "3")])
    turns.push("k", [(64, "x"), (64, "y")])
    assert taken(turns, 5) == "1x2y3"


def test_peek_names_what_pop_takes() -> None:
    turns: FairQueue[str] = FairQueue(8)
    turns.push("a", [(20, "a"), (20, "b")])
    turns.push("c", [(1, "c")])
    while turns:
        assert turns.peek() == turns.pop()


def test_what_is_due_is_removed_with_all_of_its_parts() -> None:
    turns: FairQueue[str] = FairQueue(8)
    turns.push("a", [(1, "a1"), (1, "a2")])
    turns.push("a", [(1, "b")])
    turns.push("c", [(1, "a3")])
    assert turns.remove(lambda part: part.startswith("a")) == ["a1", "a2", "a3"]
    assert turns.pop() == "b"
    assert not turns
