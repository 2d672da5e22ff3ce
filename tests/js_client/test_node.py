"""The client in Node against real servers: REST and live, and servers that die."""

from __future__ import annotations

import random
import re
from typing import Any

import httpx

from tests.conftest import Names, Stack
from tests.support.node_program import CLIENT, NodeProgram
from tests.support.tcp_proxy import TcpProxy

#: What explains a score is in the ledger, some moments after the grant.
LEDGER = """
const ledger = async (client) => { while ((await client.request('GET', ['readyz'])).lag_seq !== 0); };
"""
CALLS = """
const board = new Leaderboard({ url: given.url, key: given.key });
const { space } = given;
const first = await board.grant(space, { user_id: 'ann', amount: 5 });
const again = await board.grant(space, { user_id: 'ann', amount: 5, grant_id: first.grant_id });
const many = await board.batch(space, [{ user_id: 'bob', amount: 7 }, { user_id: 'cid', amount: 0.5 }]);
const refused = await board.grant(space, { user_id: 'ann', amount: 0.5 }).catch((problem) => problem);
const missing = await board.board('no-such-board').catch((problem) => problem);
await ledger(board);
tell({
  first: [first.status, first.score], again: [again.status, again.score],
  many: [many.applied, many.rejected, many.results[1].error.code],
  refused: [refused instanceof Problem, refused.code, refused.field, refused.body.user_id],
  missing: [missing.code, missing.status],
  board: (await board.board(space, 'all', { limit: 1 })).entries.map((one) => one.user_id),
  around: (await board.around(space, 'all', 'ann', { radius: 1 })).entries.map((one) => one.user_id),
  user: (await board.user(space, 'ann')).ranks.all.rank,
  explain: (await board.explain(space, 'ann', { window: 'all' })).score,
  rules: (await board.request('GET', ['v1', 'namespaces', space])).name,
});
"""

#: Follows boards, and tells each state and each fault.
FOLLOW = """
const board = new Leaderboard({ url: given.url, token: given.token });
const live = board.connect({
  onState: (state, problem) => tell({ state, why: problem && problem.code }),
  onError: (problem) => tell({ error: problem.code }),
});
const views = given.views ?? [{ kind: 'top', limit: 10 }];
const subscriptions = views.map((view, index) => live.subscribe(
  { namespace: given.space, window: 'all', view, onState: (own) => tell({ own, index }) },
  ({ version, epoch, entries, total, stats }) => tell({ board: { index, version, epoch, entries, total, stats } }),
));
process.stdin.on('data', () => { live.close(); process.stdin.destroy(); });
"""


def grant(api: httpx.Client, space: str, user: str, amount: int) -> None:
    body = {"grant_id": Names().fresh() + user, "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201


def follow(stack: Stack, space: str, **given: Any) -> NodeProgram:
    return NodeProgram(FOLLOW, url=stack.url, space=space, **{"token": stack.key, **given})


def wait_for(program: NodeProgram, page: Any, seconds: float = 15) -> None:
    """Until the model is what a read says: the same version, the same entries."""
    versions: list[int] = []
    while not versions or versions[-1] != page["version"]:
        state = program.hear_until("board", seconds=seconds)
        versions.append(state["version"])
        assert versions[-1] <= page["version"], versions
    assert [state["entries"], state["total"]] == [page["entries"], page["total"]]


def read(api: httpx.Client, space: str) -> Any:
    return api.get(f"/v1/namespaces/{space}/boards/all").json()


def test_calls(live_server: Stack, space: str) -> None:
    with NodeProgram(LEDGER + CALLS, url=live_server.url, key=live_server.key, space=space) as program:
        assert program.hear(20) == {
            "first": ["applied", 5],
            "again": ["duplicate", 5],
            "many": [1, 1, "amount_scale"],
            "refused": [True, "amount_scale", "$.amount", "ann"],
            "missing": ["namespace_not_found", 404],
            "board": ["bob"],
            "around": ["bob", "ann"],
            "user": 2,
            "explain": 5,
            "rules": space,
        }
        assert program.ends() == 0


def test_a_board_is_followed_until_it_is_closed(live_server: Stack, api: httpx.Client, space: str) -> None:
    grant(api, space, "ann", 3)
    with follow(live_server, space) as program:
        assert program.hear_until("state", "live")
        wait_for(program, read(api, space))
        for user, amount in (("bob", 5), ("cid", 1), ("ann", 4)):
            grant(api, space, user, amount)
        wait_for(program, read(api, space))
        program.say("close")
        assert program.hear_until("state", "closed")
        assert program.ends() == 0, "no timer and no socket keeps Node alive"


def test_a_board_that_was_deleted_and_made_anew_comes_back(live_server: Stack, api: httpx.Client, space: str) -> None:
    grant(api, space, "ann", 3)
    with follow(live_server, space) as program:
        wait_for(program, read(api, space))
        assert api.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
        assert program.hear_until("error") == "namespace_not_found"
        assert api.put(f"/v1/namespaces/{space}", json={"accept_past": None}).status_code == 201
        grant(api, space, "bob", 8)
        wait_for(program, read(api, space))


def test_a_revoked_key_is_the_end(live_server: Stack, api: httpx.Client, space: str) -> None:
    key = live_server.new_key("read:*")
    with follow(live_server, space, token=key) as program:
        program.hear_until("board")
        live_server.revoke(key)
        assert program.hear_until("error") == "close_4101"
        assert program.hear_until("own", "closed")
        assert program.hear_until("error") == "close_4001"
        program.say("end")
        assert program.ends() == 0


TOKENS = FOLLOW.replace(
    "token: given.token",
    """token: async () => {
    const issuer = new Leaderboard({ url: given.url, key: given.token });
    const body = { user_id: 'ann', namespaces: [given.space], expires_in_s: 2 };
    tell({ issued: true });
    return (await issuer.request('POST', ['v1', 'tokens'], { body })).token;
  }""",
)


def test_a_token_that_ends_is_replaced(live_server: Stack, api: httpx.Client, space: str) -> None:
    grant(api, space, "ann", 3)
    with NodeProgram(TOKENS, url=live_server.url, token=live_server.key, space=space) as program:
        wait_for(program, read(api, space))
        assert program.hear_until("error") in {"close_4101", "close_4001"}
        assert program.hear_until("issued")
        assert program.hear_until("own", "live")
        grant(api, space, "bob", 8)
        wait_for(program, read(api, space))


def test_a_server_is_killed_or_drains_and_comes_back(own_stack: Stack) -> None:
    with own_stack.client() as api:
        space, chance = "race", random.Random(1)
        assert api.put(f"/v1/namespaces/{space}", json={"accept_past": None}).status_code == 201
        with follow(own_stack, space) as program:
            program.hear_until("board")
            for end, why in ((own_stack.kill, "connection_lost"), (own_stack.stop, "draining")):
                for _ in range(10):
                    grant(api, space, chance.choice("abcdef"), chance.randint(1, 9))
                wait_for(program, read(api, space))
                end("serve")
                assert program.hear_until("why", why)
                own_stack.start("serve")
                program.hear_until("own", "live", 30)
            grant(api, space, "last", 100)
            wait_for(program, read(api, space))


def test_a_server_that_is_silent_is_left(live_server: Stack, api: httpx.Client, space: str) -> None:
    """Half-open: the connection stays, and nothing passes."""
    grant(api, space, "ann", 3)
    text = FOLLOW.replace("board.connect({", "board.connect({ silenceMs: 500, answerMs: 500,")
    with TcpProxy(live_server.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        with NodeProgram(text, url=url, token=live_server.key, space=space) as program:
            wait_for(program, read(api, space))
            proxy.hold()
            assert program.hear_until("error") == "silence"
            grant(api, space, "dan", 2)
            proxy.mend()
            wait_for(program, read(api, space), 30)
            program.say("close")
            assert program.ends() == 0


def test_the_calls_of_the_readme_are_taken(live_server: Stack, api: httpx.Client, space: str) -> None:
    blocks = re.findall(r"```js\n(.*?)```", (CLIENT / "README.md").read_text(), re.DOTALL)
    (live,) = [block for block in blocks if ".subscribe(" in block]
    (calls,) = [block for block in blocks if ".explain(" in block]
    yours = "const fetchToken = async () => given.key, show = () => {}, log = () => {}, draw = () => {};\n"
    calls = calls.replace("await server.explain", "await ledger(server);\nawait server.explain")
    text = (
        (LEDGER + yours + live + calls)
        .replace("'gp'", "given.space")
        .replace("process.env.LEADERBOARD_KEY", "given.key")
    )
    text = re.sub(r"url: '[^']+'", "url: given.url", text)
    # The guide counts in which namespaces a user has points, on the same server.
    text = re.sub("'(hamilton|leclerc|bottas)'", r"`${given.space}-\1`", text)
    with NodeProgram(text + "tell({ done: true });", url=live_server.url, key=live_server.key, space=space) as program:
        assert program.hear_until("done", seconds=20)
        assert program.ends() == 0
    users = [entry["user_id"] for entry in read(api, space)["entries"]]
    assert users == [f"{space}-{name}" for name in ("hamilton", "leclerc", "bottas")]
