"""The text of `leaderboard chain head`: what it tells is read again, and with a key a change of it shows."""

import pytest

from app.model.chain_anchor import ChainAnchor, read_anchors, write_anchors

ANCHORS = [ChainAnchor(0, 1, 5, "ab" * 16), ChainAnchor(1, 0, 0, "")]
KEY, OTHER = b"k" * 32, b"o" * 32
TEXT = write_anchors(ANCHORS, "d1", "2026-11-28T00:00:00+00:00", KEY)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_text_is_read_as_it_was_written(key: bytes | None) -> None:
    text = write_anchors(ANCHORS, "d1", "2026-11-28T00:00:00+00:00", key)
    assert read_anchors(text, key) == ("d1", "2026-11-28T00:00:00+00:00", ANCHORS)
    assert ("hmac" in text) == (key is not None)
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        *(TEXT.replace('"seq":5', '"seq":4'), TEXT.replace("d1", "d2"), TEXT.replace("00:00:00+", "00:00:01+")),
        *(
            "\n".join(TEXT.splitlines()[1:]),
            write_anchors(ANCHORS, "d1", "now", None),
            write_anchors([], "d1", "x", OTHER),
        ),
    ],
)
def test_a_text_that_the_key_does_not_prove_is_refused(text: str) -> None:
    read_anchors(text, None)
    with pytest.raises(ValueError, match="its hmac is not made with this key, or the text was changed"):
        read_anchors(text, KEY)


@pytest.mark.parametrize("text", ["", "{}", "none", TEXT + "more", '{"partition": "a"}\n' + TEXT, TEXT[:-10]])
def test_what_is_no_such_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not what `leaderboard chain head` prints"):
        read_anchors(text, None)
