"""What a hostile client may send to `/v1/live`, by chance: heads, frames and messages, most of them wrong."""

import base64
import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
#: A client's goodbye; what is well-formed so far ends at once behind it.
GOODBYE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"

Text = TypeVar("Text", str, bytes)
Maker = Callable[[random.Random], bytes]


def _pick(chance: random.Random, makers: Sequence[Callable[[], Text]]) -> Text:
    return chance.choice(makers)()


def raw_frame(chance: random.Random, opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A masked frame, as a client sends it."""
    mask = chance.randbytes(4)
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + length + mask + body


# Heads.


def head(chance: random.Random, *, packed: bool | None = None) -> bytes:
    """A good handshake."""
    lines = [
        "GET /v1/live HTTP/1.1",
        "host: x",
        "upgrade: websocket",
        "connection: Upgrade",
        "sec-websocket-version: 13",
        f"sec-websocket-key: {base64.b64encode(chance.randbytes(16)).decode()}",
    ]
    if packed is not None:
        lines.append(f"sec-websocket-protocol: leaderboard.v1{'.msgpack' if packed else ''}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def noise(chance: random.Random) -> bytes:
    """No HTTP at all."""
    return chance.randbytes(chance.randrange(1, 4_000)) + b"\r\n\r\n"


def wrong_head(chance: random.Random) -> bytes:
    """A handshake with one thing wrong."""
    good = head(chance).decode()
    text: str = _pick(
        chance,
        [
            lambda: good.replace("version: 13", f"version: {chance.choice(['8', '', '-1', '13, 8', 'x' * 400])}"),
            lambda: good.replace("sec-websocket-key: ", f"sec-websocket-key: {chance.choice(['', '====', 'a' * 999])}"),
            lambda: good.replace("sec-websocket-key", "x-nothing"),
            lambda: good.replace("connection: Upgrade", "connection: close"),
            lambda: good.replace("upgrade: websocket", f"upgrade: {chance.choice(['h2c', 'WebSocket, h2c', ''])}"),
            lambda: good.replace("GET", chance.choice(["POST", "PUT", "BREW", "get", ""])),
            lambda: good.replace("HTTP/1.1", chance.choice(["HTTP/1.0", "HTTP/9.9", "HTTP", "SPDY/3"])),
            lambda: good.replace(
                "/v1/live", chance.choice(["/v1/live/x", "/", "*", "http://y/v1/live", "/%ff%00", "/é"])
            ),
            lambda: good.replace("host: x", "host: x\r\n" + "a: b\r\n" * chance.choice([3, 300])),
            lambda: good.replace("host: x", "host: x\r\nx: " + "a" * chance.choice([9_000, 70_000])),
            lambda: good.replace("host: x", "host: x\r\ncontent-length: 5"),
            lambda: good.replace("host: x", "host: x\r\ntransfer-encoding: chunked"),
            lambda: good.replace(
                "host: x", f"host: x\r\norigin: {chance.choice(['null', 'https://evil', 'x' * 3_000])}"
            ),
            lambda: good.replace("host: x", "host: x\r\nsec-websocket-protocol: " + ", ".join(["p"] * 1_000)),
            lambda: good.replace("host: x", "host: x\r\nsec-websocket-protocol: ,,\x01"),
            lambda: good.replace("host: x", "host: x\r\nsec-websocket-extensions: permessage-deflate; a=b; ;;,"),
            lambda: good.replace("\r\n", "\n"),
            lambda: good.replace("host: x", "host: x\r\n folded: y"),
            lambda: good.replace("host: x", "host: \x00\x7f"),
        ],
    )
    return text.encode()


# Frames.


def wrong_frame(chance: random.Random) -> bytes:
    """Against the RFC, or cut."""
    payload = chance.randbytes(chance.choice([0, 1, 5, 125, 126, 300]))
    masked = raw_frame(chance, TEXT, payload)
    return _pick(
        chance,
        [
            lambda: raw_frame(chance, chance.choice([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), payload),
            lambda: raw_frame(chance, TEXT, payload, rsv=chance.randrange(1, 8)),
            lambda: raw_frame(chance, TEXT, chance.randbytes(200), rsv=4),  # compressed, which nobody agreed on
            lambda: bytes([0x81, len(b"{}")]) + b"{}",  # without a mask
            lambda: raw_frame(
                chance, chance.choice([PING, PONG, CLOSE]), chance.randbytes(chance.choice([126, 70_000]))
            ),
            lambda: raw_frame(chance, chance.choice([PING, CLOSE]), b"x", fin=False),
            lambda: raw_frame(chance, CONTINUATION, payload),
            lambda: raw_frame(chance, TEXT, b"{", fin=False) * 2,
            lambda: raw_frame(chance, TEXT, b"\xff\xfe\x80" + payload),
            lambda: raw_frame(chance, TEXT, b"\xf0\x9f", fin=False) + raw_frame(chance, CONTINUATION, b"{"),
            lambda: b"\x81\xff" + struct.pack(">Q", chance.choice([2**63, 2**64 - 1, 2**62, 10**6])) + bytes(4),
            lambda: b"\x81\xfe\x00\x01" + bytes(4) + b"x",  # longer than it need be
            lambda: b"\x82\xff" + struct.pack(">Q", 3) + bytes(4) + b"abc",
            lambda: raw_frame(
                chance, CLOSE, chance.choice([b"\x03", b"\x03\xed", b"\x00\x00", b"\xff\xff", b"\x03\xe8\xff"])
            ),
            lambda: masked[: chance.randrange(1, len(masked))],
            lambda: raw_frame(chance, chance.choice([TEXT, BINARY]), bytes(chance.choice([16_385, 65_537, 200_000]))),
            lambda: chance.randbytes(chance.randrange(1, 3_000)),
        ],
    )


def flood(chance: random.Random) -> bytes:
    """Too much of something."""
    one = chance.choice(
        [
            raw_frame(chance, PING, bytes(125)),
            raw_frame(chance, PONG, b""),
            raw_frame(chance, TEXT, b"[" * 1_000),
            raw_frame(chance, TEXT, json.dumps(message(chance)).encode()),
            raw_frame(chance, TEXT, b'{"type":"subscribe","id":1,"namespace":"fuzz"}'),
            raw_frame(chance, TEXT, b'{"type":"ping"}'),
            raw_frame(chance, TEXT, b"", fin=False) + raw_frame(chance, CONTINUATION, b"", fin=False) * 200,
        ]
    )
    return one * max(1, chance.choice([20_000, 200_000]) // len(one))


# Messages.

_TEXTS = ["", "fuzz", "all", "day", "x" * 100, "a\x00b", "é" * 40, "../..", "\ud7ff", "fuzz\n", "*", "W2026-99-99", "-"]


def value(chance: random.Random, depth: int = 0) -> Any:
    """Any value."""
    match chance.randrange(9 if depth < 4 else 6):
        case 0:
            return chance.choice([0, 1, -1, 2**31, 2**63 - 1, -(2**63), 7])
        case 1:
            return chance.choice([0.5, -1e308, 1e-300])
        case 2 | 3:
            return chance.choice(_TEXTS)
        case 4:
            return chance.choice([None, True, False])
        case 5:
            return chance.choice(["top", "around", "users", "stats", "subscribe", "auth"])
        case 6:
            return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
        case 7:
            return {chance.choice(_TEXTS): value(chance, depth + 1) for _ in range(chance.randrange(4))}
        case _:
            return {
                "kind": chance.choice(["top", "around", "users", "stats", "page", ""]),
                chance.choice(["limit", "user", "radius", "users"]): value(chance, depth + 1),
            }


def message(chance: random.Random) -> dict[str, Any]:
    """A message with some fields that are wrong, missing, or too many."""
    body: dict[str, Any] = {
        "type": chance.choice(["auth", "subscribe", "subscribe", "subscribe", "unsubscribe", "ping"])
    }
    if body["type"] == "subscribe":
        body |= {"id": 1, "namespace": "fuzz", "window": "all", "view": {"kind": "top", "limit": 3}}
    elif body["type"] == "auth":
        body["token"] = chance.choice(["lb_x_y", "", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 4_097])
    fields = [
        "type",
        "id",
        "namespace",
        "window",
        "category",
        "view",
        "epoch",
        "version",
        "resume_window",
        "token",
        "z",
    ]
    for _ in range(chance.randrange(3)):
        body[chance.choice(fields)] = value(chance)
    if chance.random() < 0.2:
        body.pop(chance.choice(list(body)))
    return body


def json_message(chance: random.Random) -> bytes:
    """One text message."""
    text = json.dumps(message(chance))
    text = _pick(
        chance,
        [
            lambda: text,
            lambda: text,
            lambda: text[: chance.randrange(len(text))],
            lambda: "[" * chance.choice([10, 1_000, 16_000]),
            lambda: '{"type":' * 1_500,
            lambda: '{"type":"subscribe","id":1e999,"namespace":"fuzz"}',
            lambda: '{"type":"subscribe","id":' + "9" * 5_000 + ',"namespace":"fuzz"}',
            lambda: '{"type":"subscribe","id":NaN,"namespace":"\\ud800"}',
            lambda: '{"type":"ping","type":"auth","token":"x","token":{}}',
            lambda: '{"type":"subscribe","id":1,"namespace":"fuzz","view":' + "[" * 8_000,
            lambda: " " * 16_000 + text,
            lambda: "\ufeff" + text,
            lambda: text.replace('"', "'"),
        ],
    )
    return raw_frame(chance, TEXT, text.encode("utf-8", "surrogatepass"))


def packed_message(chance: random.Random) -> bytes:
    """One MessagePack message."""
    body = msgspec.msgpack.encode(message(chance))
    body = _pick(
        chance,
        [
            lambda: body,
            lambda: body,
            lambda: body[: chance.randrange(len(body))],
            lambda: b"\x91" * chance.choice([100, 16_000]),
            lambda: b"\x81\xa4type" * 2_000,
            lambda: b"\xdf\xff\xff\xff\xff" + body,
            lambda: b"\xdd\xff\xff\xff\xff",
            lambda: b"\xc6\xff\xff\xff\xff",
            lambda: b"\x81\xa4type\xc7\x0c\xff" + chance.randbytes(12),
            lambda: b"\x82\xa4type\xa9subscribe\xa2id\xcf" + b"\xff" * 8,
            lambda: b"\x81\xc4\x04type\xa4ping",
            lambda: body + body,
            lambda: chance.randbytes(chance.randrange(1, 400)),
        ],
    )
    return raw_frame(chance, BINARY, body)


def broken_up(chance: random.Random) -> bytes:
    """A good message in fragments with pings in between."""
    data = json.dumps({"type": "subscribe", "id": 1, "namespace": "fuzz"}).encode()
    cuts = sorted(chance.sample(range(1, len(data)), chance.randrange(1, 12)))
    parts = [data[i:j] for i, j in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    frames = b""
    for number, part in enumerate(parts):
        frames += raw_frame(chance, TEXT if number == 0 else CONTINUATION, part, fin=number == len(parts) - 1)
        frames += raw_frame(chance, PING, b"x") if chance.random() < 0.3 and number < len(parts) - 1 else b""
    return frames


#: What stands behind a handshake.
FRAMES: list[Maker] = [wrong_frame, wrong_frame, json_message, json_message, packed_message, broken_up, flood]
#: What stands for one.
HEADS: list[Maker] = [noise, wrong_head, wrong_head]
