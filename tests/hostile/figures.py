"""`python -m tests.hostile.figures [ATTACK…]`: what one who writes sees while others misbehave, for
docs/reliability.md."""

import base64
import contextlib
import json
import multiprocessing
import resource
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx

from tests.conftest import Stack
from tests.support.raw_clients import Raw, close_code, frame, head, resident_bytes, say, upgrade

#: Seconds that each attack lasts.
ATTACK_S = 5.0
MB = 1024 * 1024
_process = multiprocessing.get_context("fork")
Attack = Callable[[Stack, Event], None]


def _until(done: Event, raws: list[Raw], piece: bytes) -> None:
    """Sends a piece over and over on each connection; one that was closed is opened no more."""
    for raw in raws:
        raw.socket.settimeout(0.2)
    while not done.is_set() and raws:
        raws = [raw for raw in raws if raw.send(piece)]
    done.wait()


def nothing(stack: Stack, done: Event) -> None:
    """Nobody else."""
    done.wait()


def pongs(stack: Stack, done: Event) -> None:
    """One socket that sends pongs as fast as it can, and comes back at once when it is closed."""
    while not done.is_set():
        with Raw(stack.port) as raw:
            upgrade(raw)
            while not done.is_set() and raw.send(frame(10) * 10_000):
                pass


def pings(stack: Stack, done: Event) -> None:
    """Ten sockets that send pings and read nothing."""
    raws = [Raw(stack.port, 4_096) for _ in range(10)]
    for raw in raws:
        upgrade(raw)
    _until(done, raws, frame(9, bytes(125)) * 500)


def heads(stack: Stack, done: Event) -> None:
    """Ten connections with a header field that does not end."""
    raws = [Raw(stack.port) for _ in range(10)]
    for raw in raws:
        raw.send(b"GET / HTTP/1.1\r\nx: ")
    _until(done, raws, b"a" * 65_536)


def idle(stack: Stack, done: Event) -> None:
    """5,000 connections that send nothing."""
    raws = [Raw(stack.port) for _ in range(5_000)]
    done.wait()
    for raw in raws:
        raw.close()


def bodies(stack: Stack, done: Event) -> None:
    """100 connections with 500 KB of an unfinished body each."""
    raws = [Raw(stack.port) for _ in range(100)]
    for raw in raws:
        raw.send(head("/v1/boards", "POST", content_length="520000") + b" " * 500_000)
    done.wait()
    for raw in raws:
        raw.close()


def lines(stack: Stack, done: Event) -> None:
    """A key that sends 40 MB of line feeds, again and again."""
    fields = {"authorization": f"Bearer {stack.key}", "content_type": "application/x-ndjson"}
    with httpx.Client(timeout=30) as client:
        while not done.is_set():
            url = f"{stack.url}/v1/namespaces/figures/grants"
            named = {name.replace("_", "-"): value for name, value in fields.items()}
            with contextlib.suppress(httpx.HTTPError):
                client.post(url, content=b"\n" * 40_000_000, headers=named)


def views(stack: Stack, done: Event) -> None:
    """40 sockets without a key that watch 50 different views each of the board that moves."""
    raws = [Raw(stack.port) for _ in range(40)]
    for number, raw in enumerate(raws):
        upgrade(raw)
        for i in range(50):
            view = {"kind": "around", "user": f"u{50 * number + i}", "radius": 20}
            message = {"type": "subscribe", "id": i, "namespace": "figures", "view": view}
            raw.send(frame(1, json.dumps(message).encode()))
    while not done.is_set():
        for raw in raws:
            raw.is_open(0.001)


def unknown_keys(stack: Stack, done: Event) -> None:
    """Ten connections that read with keys which nobody made."""
    _refused(stack, done, lambda: f"lb_{secrets.token_hex(6)}_{secrets.token_urlsafe(24)}")


def forged_tokens(stack: Stack, done: Event) -> None:
    """Ten connections that read with client tokens whose signature is wrong."""
    head, claims, _ = client_token(stack).split(".")
    _refused(stack, done, lambda: f"{head}.{claims}.{secrets.token_urlsafe(32)}")


def streams(stack: Stack, done: Event) -> None:
    """Ten connections that ask for event streams without a key, get the board, and come anew."""
    while not done.is_set():
        raws = [Raw(stack.port) for _ in range(10)]
        for raw in raws:
            raw.send(head("/v1/namespaces/figures/boards/all/events?limit=100"))
        for raw in raws:
            raw.hear(b'"snapshot"')
            raw.close()


def client_token(stack: Stack) -> str:
    """One that is valid."""
    with stack.client() as client:
        body = {"user_id": "u1", "namespaces": ["figures"]}
        return str(client.post("/v1/tokens", json=body).raise_for_status().json()["token"])


def _refused(stack: Stack, done: Event, bearer: Callable[[], str]) -> None:
    raws = [Raw(stack.port) for _ in range(10)]
    while not done.is_set():
        for raw in raws:
            raw.send(head("/v1/namespaces/figures/boards/all", authorization=f"Bearer {bearer()}"))
        for raw in raws:
            assert raw.answer()[0] == 401


def _live_flood(stack: Stack, done: Event, data: bytes) -> None:
    """Ten at a time open live sockets, say something, hear the end, and come back; prints the codes."""
    codes: Counter[int | None] = Counter()

    def one() -> None:
        while not done.is_set():
            with Raw(stack.port) as raw:
                upgrade(raw)
                raw.send(data)
                codes[close_code(raw.end())] += 1

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"  {dict(codes)}", flush=True)


def live_handshakes(stack: Stack, done: Event) -> None:
    """Ten connections open live sockets, say goodbye, and come back."""
    _live_flood(stack, done, frame(8, b"\x03\xe8"))


def live_garbage(stack: Stack, done: Event) -> None:
    """Ten connections open live sockets, send 10 KB of garbage, and come back."""
    _live_flood(stack, done, b"\xa5" * 10_000)


def live_tokens(stack: Stack, done: Event) -> None:
    """Ten connections open live sockets, send a key that nobody made, and come back."""
    _live_flood(stack, done, frame(1, b'{"type":"auth","token":"lb_none_0123456789abcdef"}'))


def live_idle(stack: Stack, done: Event) -> None:
    """2,500 live sockets of one address that never say who they are."""
    raws = [Raw(stack.port) for _ in range(2_500)]
    for raw in raws:
        with contextlib.suppress(AssertionError):
            upgrade(raw)
    done.wait()
    codes: Counter[int | None] = Counter()
    for raw in raws:
        codes[close_code(raw.end())] += 1
    print(f"  {dict(codes)}", flush=True)


@contextlib.contextmanager
def running(attack: Attack, stack: Stack) -> Iterator[None]:
    done = _process.Event()
    process = _process.Process(target=attack, args=(stack, done))
    process.start()
    try:
        yield
    finally:
        done.set()
        process.join(10)
        process.kill()


def measure(attack: Attack, stack: Stack) -> None:
    """One line of the table."""
    pid, times, most = stack.pid("serve"), [], 0
    before = resident_bytes(pid)
    with stack.client() as client, running(attack, stack):
        time.sleep(0.5)
        began = time.monotonic()
        while (now := time.monotonic()) - began < ATTACK_S:
            body = {"grant_id": f"{attack.__name__}-{now}", "user_id": "u1", "amount": 1}
            assert client.post("/v1/namespaces/figures/grants", json=body).status_code == 201
            times.append(time.monotonic() - now)
            most = max(most, resident_bytes(pid))
        frame_s = first_frame(stack)
    title = (attack.__doc__ or "").strip(".")
    grown = (most - before) / MB
    middle, longest = 1_000 * statistics.median(times), 1_000 * max(times)
    print(f"| {title} | {middle:.0f} | {longest:.0f} | {1_000 * frame_s:.0f} | {grown:+.0f} |", flush=True)


def first_frame(stack: Stack) -> float:
    """Seconds until somebody else's first frame."""
    with Raw(stack.port) as raw:
        upgrade(raw)
        say(raw, type="auth", token=stack.key)
        raw.hear(b'"ready"}')
        began = time.monotonic()
        say(raw, type="subscribe", id=1, namespace="figures", view={"kind": "users", "users": ["u7"]})
        raw.hear(b'"snapshot"')
        return time.monotonic() - began


ATTACKS: tuple[Attack, ...] = (
    *(nothing, pongs, pings, heads, idle, bodies, lines, views),
    *(unknown_keys, forged_tokens, streams),
    *(live_handshakes, live_garbage, live_tokens, live_idle),
)


def main() -> None:
    """The table."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        stack, token_key = Stack(Path(folder)), Path(folder) / "token_key"
        token_key.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
        stack.extra["LEADERBOARD_TOKEN_KEYS"] = str(token_key)
        try:
            stack.up()
            with stack.client() as client:
                client.put("/v1/namespaces/figures", json={"visibility": "public"}).raise_for_status()
                for first in range(0, 2_000, 1_000):
                    batch = [
                        {"grant_id": f"g{i}", "user_id": f"u{i}", "amount": i} for i in range(first, first + 1_000)
                    ]
                    client.post("/v1/namespaces/figures/grants", json=batch).raise_for_status()
            print("| what others do | grant, median ms | longest ms | first frame ms | memory MB |")
            print("| --- | --- | --- | --- | --- |")
            names = set(sys.argv[1:])
            for attack in ATTACKS:
                if names and attack.__name__ not in names:
                    continue
                measure(attack, stack)
        finally:
            stack.down()


if __name__ == "__main__":
    main()
