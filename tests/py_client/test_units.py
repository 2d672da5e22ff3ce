"""The client's core, without a server: retries, paths, problems, frames, signatures, and the half that is made."""

from __future__ import annotations

import ast
import base64
import importlib.util
import json
import re
import subprocess
import sys
import time
import tomllib
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from leaderboard_client import (
    BadAnswer,
    BadRequest,
    BatchResult,
    Conflict,
    Fault,
    Grant,
    Problem,
    RateLimited,
    Result,
    ServerFault,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from leaderboard_client.batches import Rounds, batch_call
from leaderboard_client.calls import Answer, Call, as_nothing, as_object, query_text
from leaderboard_client.errors import problem_of
from leaderboard_client.live.board_copy import BoardCopy
from leaderboard_client.live.comebacks import FINAL, after_close, after_error
from leaderboard_client.token_life import life_of
from leaderboard_client.tries import Tries, full_jitter
from leaderboard_client.webhooks import WrongSignature, verify
from standardwebhooks import Webhook

from app.live.close_codes import CLOSE_ADVICE

ROOT = Path(__file__).parents[2] / "clients/python"


def mirror_module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mirror", ROOT / "mirror.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_half_that_blocks_is_made_of_the_half_for_asyncio() -> None:
    mirrors: dict[Path, str] = mirror_module().mirrors()
    assert len(mirrors) >= 5
    assert [path.name for path, text in mirrors.items() if path.read_text() != text] == [], "clients/python/mirror.py"


def test_the_package_needs_what_it_names_and_nothing_of_the_server() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needs = {re.split(r"[<>=]", one)[0] for one in project["dependencies"]}
    imports = set()
    for path in (ROOT / "leaderboard_client").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imports |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                imports.add(node.module.partition(".")[0])
    assert imports - sys.stdlib_module_names == needs == {"httpx", "msgspec", "websockets"}


def test_the_wheel_has_the_package_alone(tmp_path: Path) -> None:
    command = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", command, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("leaderboard_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "leaderboard_client").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == {*modules, "leaderboard_client/py.typed"}


def call(**more: Any) -> Call[None]:
    return Call(method="POST", path=("v1",), read=as_nothing, **more)


def tries(of: Call[None], deadline_s: float = 15) -> Tries:
    return Tries(of, now=100.0, deadline_s=deadline_s, random=lambda: 0.5)


def test_waits_double_up_to_a_bound_and_are_random_from_zero() -> None:
    assert [full_jitter(i, (0.2, 1.0), lambda: 1.0) for i in (0, 1, 2, 3, 99)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert full_jitter(3, (0.2, 1.0), lambda: 0.0) == 0


def test_the_server_says_how_long_to_wait_at_least() -> None:
    busy = Unavailable("overloaded", "", status=503, retry_after_s=2)
    assert tries(call(may_repeat=True)).wait_after(busy, 100.0, was_sent=True) == 2.1


@pytest.mark.parametrize(
    ("may_repeat", "problem", "was_sent", "is_repeated"),
    [
        (True, Unavailable("x", "", status=503), True, True),
        (True, Unreachable("x", ""), True, True),
        (True, Conflict("x", "", status=409), True, False),
        (True, ServerFault("x", "", status=500), True, False),
        (False, Unavailable("x", "", status=503), True, False),
        (False, Unreachable("x", ""), True, False),
        (False, Unreachable("x", ""), False, True),
        (False, RateLimited("x", "", status=429), True, True),
        (True, BadRequest("request_timeout", "", status=408), True, True),
    ],
)
def test_what_is_repeated(may_repeat: bool, problem: Problem, was_sent: bool, is_repeated: bool) -> None:
    one = tries(call(may_repeat=may_repeat))
    if is_repeated:
        assert one.wait_after(problem, 100.0, was_sent=was_sent) >= 0
    else:
        with pytest.raises(type(problem)):
            one.wait_after(problem, 100.0, was_sent=was_sent)


def test_nothing_is_repeated_past_the_deadline() -> None:
    away = Unreachable("unreachable", "")
    assert tries(call(may_repeat=True), 1).seconds(100.25) == 0.75
    with pytest.raises(Unreachable):
        tries(call(may_repeat=True), 1).wait_after(away, 100.95, was_sent=False)
    with pytest.raises(Unreachable):
        tries(call(may_repeat=True, deadline_s=0.0)).wait_after(away, 100.0, was_sent=False)


def test_a_token_is_replaced_once() -> None:
    refusal, one = Unauthorized("unauthorized", "", status=401), tries(call())
    assert not one.takes_new_token(refusal, can_renew=False)
    assert one.takes_new_token(refusal, can_renew=True)
    assert not one.takes_new_token(refusal, can_renew=True)


def test_paths_and_queries_hold_any_character() -> None:
    one = Call(method="GET", path=("v1", "..", "a/b?ä"), read=as_nothing, query={"user": ["a&b", "c d"], "x": None})
    assert one.target == "/v1/%2E%2E/a%2Fb%3F%C3%A4?user=a%26b&user=c%20d"
    moment = datetime(2025, 11, 4, 13, tzinfo=UTC)
    assert query_text({"t": moment, "d": Decimal("1E+3"), "b": True}) == "?t=2025-11-04T13%3A00%3A00Z&d=1000&b=true"
    with pytest.raises(ValueError, match="zone"):
        query_text({"t": datetime(2025, 11, 4)})
    with pytest.raises(ValueError, match="zone"):
        Grant(user_id="ann", amount=1, granted_at=datetime(2025, 11, 4))


@pytest.mark.parametrize(
    ("status", "content", "kind", "code"),
    [
        (503, b'{"code":"overloaded","detail":"d"}', Unavailable, "overloaded"),
        (502, b"<html>", Unavailable, "bad_answer"),
        (302, b"", BadAnswer, "bad_answer"),
        (418, b'{"code":"teapot"}', BadAnswer, "teapot"),
        (500, b"[]", ServerFault, "bad_answer"),
    ],
)
def test_problems(status: int, content: bytes, kind: type[Problem], code: str) -> None:
    problem = problem_of(status, content)
    assert (type(problem), problem.code, problem.status) == (kind, code, status)


def test_an_answer_that_is_not_the_servers_is_a_problem() -> None:
    with pytest.raises(BadAnswer):
        Call(method="GET", path=("v1",), read=as_object).answer(Answer(200, {}, b"<html>"))


@pytest.mark.parametrize(("text", "seconds"), [("3", 3.0), ("", None), ("soon", None), ("99999999", None)])
def test_a_wait_that_a_server_asks_for(text: str, seconds: float | None) -> None:
    assert Answer(503, {"retry-after": text}, b"").retry_after_s == seconds


def test_rounds_send_what_passes_and_keep_the_order() -> None:
    busy = Result(status="rejected", error=Fault(code="overloaded", status=503, detail="", retryable=True))
    wrong = Result(status="rejected", error=Fault(code="invalid", status=422, detail=""))
    grants = [Grant(user_id=user, amount=1) for user in "abcd"]
    first = BatchResult(results=(busy, Result(status="applied"), wrong, busy))
    rounds = Rounds(grants, first, ends_at=10.0, random=lambda: 0.5)
    assert [grant.user_id for grant in rounds.due] == ["a", "d"]
    assert rounds.wait(0.0) == 0.25
    rounds.take(BatchResult(results=(Result(status="duplicate"), busy)))
    assert [grant.user_id for grant in rounds.due] == ["d"]
    assert rounds.wait(9.9) is None
    assert [result.status for result in rounds.result.results] == ["duplicate", "applied", "rejected", "rejected"]
    assert batch_call(grants, "gp").body == batch_call(grants, "gp").body


def test_a_decimal_is_sent_with_all_its_digits() -> None:
    body = batch_call([Grant(user_id="a", amount=Decimal("999999999.123456"), grant_id="g")], "gp").body
    assert body == b'[{"user_id":"a","amount":999999999.123456,"grant_id":"g"}]'


def test_the_life_of_a_token() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"iat": 1000, "exp": 1600}).encode()).decode().rstrip("=")
    assert life_of(f"head.{claims}.signature") == 600
    for other in ("lb_me_0123456789abcdef", "a.b.c", "", f"head.{claims[:-4]}.s"):
        assert life_of(other) == float("inf")


def entry(user: str, position: int, score: int = 1) -> dict[str, Any]:
    return {"position": position, "rank": position, "user_id": user, "score": score}


SNAPSHOT = {"type": "snapshot", "window": "all", "starts": None, "ends": None, "epoch": 1, "version": 5, "total": 2}


def test_frames_change_a_copy() -> None:
    copy = BoardCopy()
    assert copy.apply({**SNAPSHOT, "entries": [entry("ann", 1), entry("bob", 2)]})
    before = copy.board
    delta = {**SNAPSHOT, "type": "delta", "from": 5, "version": 6, "remove": ["ann"], "upsert": [entry("bob", 1)]}
    del delta["epoch"]
    assert copy.apply(delta)
    assert copy.board is not None
    assert [one.user_id for one in copy.board.entries] == ["bob"]
    assert copy.board.changes_since(before) == (copy.board.entries, ("ann",))
    assert copy.resume == {"epoch": 1, "version": 6, "resume_window": "all"}
    assert copy.apply({"type": "uptodate", "window": "all", "version": 6})
    assert not copy.apply({"type": "uptodate", "window": "all", "version": 7})
    assert not copy.apply(delta), "it leads on from 5"
    assert not copy.apply({**delta, "from": 6, "window": "2025"})
    assert not copy.apply({**delta, "from": 6, "upsert": [entry("cid", 1)]}), "two users at one position"
    copy.forget()
    assert copy.resume == {}


def test_every_close_code_of_the_server_has_the_comeback_that_its_advice_names() -> None:
    for code, advice in CLOSE_ADVICE.items():
        waits = after_close(code)
        assert (waits is None) == (code in FINAL) == (advice.remedy == "do not retry unchanged")
        if advice.remedy == "back off":
            assert waits is not None
            assert waits[0] >= 5
    assert after_close(1006) == (0.5, 30.0)
    assert after_error("invalid").waits is None
    assert after_error("namespace_not_found").is_absent
    assert not after_error("store_unavailable").is_absent


SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = b'{"type":"granted","timestamp":"2025-11-04T13:00:00Z","data":{"user_id":"ann"}}'


def signed(secret: str = SECRET, moment: float | None = None) -> dict[str, str]:
    at = datetime.fromtimestamp(time.time() if moment is None else moment, UTC)
    signature = Webhook(secret).sign("msg_1", at, BODY.decode())
    return {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}


def test_a_message_is_verified() -> None:
    message = verify(BODY, signed(), SECRET)
    assert (message.id, message.type, message.data) == ("msg_1", "granted", {"user_id": "ann"})
    both = signed()
    both["Webhook-Signature"] = "v1,AAAA " + both["Webhook-Signature"]
    assert verify(BODY, both, SECRET).id == "msg_1"


@pytest.mark.parametrize("headers", [{}, signed(moment=0.0), {**signed(), "Webhook-Id": "msg_2"}])
def test_a_message_of_somebody_else_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(WrongSignature):
        verify(BODY, headers, SECRET)
    with pytest.raises(WrongSignature):
        verify(BODY + b" ", signed(), SECRET)
