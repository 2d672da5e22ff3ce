"""The page's QR codes: the same modules as another encoder makes."""

import json
import random
import subprocess

import pytest
from qrcodegen import QrCode, QrSegment

from tests.support.node_program import CLIENT, NODE

MOST = 666
#: Bytes that the versions 1 to 20 hold.
ROOM = [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412, 450, 504, 560, 624, MOST]
LETTERS = "abcXYZ019/:#?=&%. éß語\U0001f9a6"
PROGRAM = """
const { qrRows } = await import(%s);
const { default: fs } = await import('node:fs');
const texts = JSON.parse(fs.readFileSync(0));
const masks = [undefined, 0, 1, 2, 3, 4, 5, 6, 7];
console.log(JSON.stringify(texts.map((text) => masks.map((mask) => qrRows(text, mask)))));
"""


def codes_of(texts: list[str]) -> list[list[list[list[int]] | None]]:
    """For each text, the code with the mask of its own choice and those with each of the eight."""
    program = PROGRAM % json.dumps((CLIENT / "qr.js").as_uri())
    command = [NODE, "--input-type=module", "--eval", program]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, timeout=100, check=True)
    codes: list[list[list[list[int]] | None]] = json.loads(done.stdout)
    return codes


def code_by_qrcodegen(text: str, mask: int) -> list[list[int]]:
    segments = [QrSegment.make_bytes(text.encode())]
    code = QrCode.encode_segments(segments, QrCode.Ecc.MEDIUM, mask=mask, boostecl=False)
    size = range(code.get_size())
    return [[int(code.get_module(column, row)) for column in size] for row in size]


def random_text(seed: random.Random, length: int) -> str:
    """length: in bytes."""
    text = "".join(seed.choice(LETTERS) for _ in range(length)).encode()[:length].decode(errors="ignore")
    return text + "x" * (length - len(text.encode()))


def compare(lengths: list[int]) -> None:
    seed = random.Random(17)
    texts = [random_text(seed, length) for length in lengths]
    for text, (chosen, *masked) in zip(texts, codes_of(texts), strict=True):
        expected = [code_by_qrcodegen(text, mask) for mask in range(8)]
        assert masked == expected, text
        assert chosen in expected, text


def test_another_encoder_makes_the_same_codes() -> None:
    compare([0, 1, 13, *(room for length in ROOM[:10] for room in (length, length + 1))])


@pytest.mark.full
def test_another_encoder_makes_the_same_codes_of_many_texts() -> None:
    seed = random.Random(18)
    compare(
        [*(room for length in ROOM[:-1] for room in (length, length + 1)), *(seed.randrange(MOST) for _ in range(100))]
    )


def test_what_is_too_long_has_no_code() -> None:
    fits, none = codes_of(["x" * MOST, "x" * (MOST + 1)])
    assert [len(code or []) for code in fits] == [97] * 9
    assert none == [None] * 9
