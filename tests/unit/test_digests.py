"""What makes two grants, or two corrections, the same: each field as sent, and nothing that the server filled in."""

from typing import Any

import msgspec
import pytest

from app.model.chain import entries_of, steps_of
from app.model.correction import CorrectionRequest, Edit, GrantState, digest_request
from app.model.grant import Grant, plan
from app.model.micros import from_micros
from app.model.namespace import Namespace, Rules
from tests.support.grant_history import DAY_US

NOW = 40 * DAY_US
RACE = Namespace(3, "race", 0, 1, Rules(scale=1))
SENT: dict[str, Any] = {
    "grant_id": "g1",
    "user_id": "otter",
    "amount": 5,
    "category": "red",
    "source": "race",
    "source_id": "10",
    "action": "finish",
    "granted_at": from_micros(NOW).isoformat(),
    "session_id": "s-1",
    "meta": {"lap": 1},
}


def grant_digest(namespace: Namespace = RACE, now: int = NOW, **changes: Any) -> bytes:
    """The digest of a grant as sent; a change to None leaves the field out."""
    fields = {name: value for name, value in (SENT | changes).items() if value is not None}
    return plan(msgspec.json.decode(msgspec.json.encode(fields), type=Grant), namespace, now).content


@pytest.mark.parametrize(
    "change",
    [
        *({"grant_id": "g2"}, {"user_id": "heron"}, {"amount": 6}, {"amount": -5}, {"category": "blue"}),
        *({"category": None}, {"source": "quiz"}, {"source": None}, {"source_id": "11"}, {"source_id": None}),
        *({"action": "start"}, {"action": None}, {"session_id": "s-2"}, {"session_id": None}, {"meta": {"lap": 2}}),
        *({"meta": None}, {"granted_at": from_micros(NOW - 1).isoformat()}, {"granted_at": None}),
        # A value that stands in another field is another grant.
        *({"category": "race", "source": "red"}, {"source_id": None, "action": "10"}),
    ],
    ids=str,
)
def test_a_field_that_differs_makes_another_grant(change: dict[str, Any]) -> None:
    assert grant_digest(**change) != grant_digest()


def test_a_grant_of_another_namespace_is_another_one() -> None:
    assert grant_digest(Namespace(4, "laps", 0, 1, Rules(scale=1))) != grant_digest()


@pytest.mark.parametrize("change", [{"amount": 5.0}, {"granted_at": "1970-02-10T01:00:00+01:00"}], ids=str)
def test_another_way_to_write_a_value_is_the_same_grant(change: dict[str, Any]) -> None:
    assert grant_digest(**change) == grant_digest()


def test_what_the_server_fills_in_is_no_part_of_a_grant() -> None:
    """The moment of its arrival, the rules and the days by which it counts."""
    other = Namespace(3, "race", 0, 9, Rules(scale=1, streaks=True, category_boards=True, timezone="Asia/Tokyo"))
    for granted_at in (SENT["granted_at"], None):
        assert grant_digest(other, NOW + 5, granted_at=granted_at) == grant_digest(granted_at=granted_at)


LABELS = ("category", "source", "source_id", "action", "session_id")
CHANGES: dict[str, Any] = {
    "amount": 8,
    "granted_at": from_micros(DAY_US).isoformat(),
    "category": "red",
    "source": "race",
    "source_id": "10",
    "action": "finish",
    "session_id": "s-1",
    "reason": "a photo",
}


def request_digest(verb: Any = "edit", grant_id: str = "g1", **changes: Any) -> bytes:
    """The digest of a correction as sent; a change to `...` leaves the field out."""
    fields = {name: value for name, value in (CHANGES | changes).items() if value is not ...}
    edit = msgspec.json.decode(msgspec.json.encode(fields), type=Edit)
    return digest_request(RACE, CorrectionRequest(grant_id, verb, edit, "admin"))


@pytest.mark.parametrize(
    "change",
    [
        *({"verb": "void"}, {"grant_id": "g2"}, {"amount": 9}, {"amount": ...}, {"granted_at": ...}, {"reason": None}),
        *({"granted_at": from_micros(DAY_US + 1).isoformat()}, {"reason": "another"}),
        *(
            {name: value}
            for name in ("category", "source", "source_id", "action", "session_id")
            for value in ("x", ...)
        ),
        # To take a label away is another thing than to leave it.
        *({name: None} for name in ("category", "source", "source_id", "action", "session_id")),
        {"category": "race", "source": "red"},
    ],
    ids=str,
)
def test_a_part_that_differs_makes_another_correction(change: dict[str, Any]) -> None:
    assert request_digest(**change) != request_digest()


@pytest.mark.parametrize(
    "change", [{"amount": 8.0}, {"granted_at": "1970-01-02T01:00:00+01:00"}, {"revision": 7}], ids=str
)
def test_another_way_to_write_it_and_its_condition_make_the_same_correction(change: dict[str, Any]) -> None:
    assert request_digest(**change) == request_digest()


def test_a_label_that_is_taken_away_is_not_one_that_is_left() -> None:
    assert request_digest(category=None) != request_digest(category=...)


KEY, OTHER_KEY = b"k" * 64, b"o" * 64


def test_digests_of_what_was_sent_are_made_with_the_digest_key() -> None:
    """Each kind of them: of a grant, of a request with an Idempotency-Key, of a correction."""
    sent = msgspec.json.decode(msgspec.json.encode(SENT), type=Grant)
    request = CorrectionRequest("g1", "void", Edit(reason="otter"), "admin", "key")
    before = GrantState(
        **{name: SENT[name] for name in ("grant_id", "category", "source", "source_id", "action", "session_id")},
        user="otter",
        revision=1,
        amount=50,
        granted_at=NOW,
        windows=("all",),
        voided=False,
        seq=1,
    )

    def digests(key: bytes) -> list[bytes]:
        steps = steps_of(RACE, [request], {"g1": before}, {}, NOW, None, key)
        (entry,) = entries_of(RACE, steps, None, 0, digest_key=key)
        granted = plan(sent, RACE, NOW, digest_key=key).content
        return [granted, digest_request(RACE, request, key), entry.body.request_digest or b"", entry.content]

    first = digests(KEY)
    assert first == digests(KEY)
    assert first[1] == first[2]
    assert all(one != other for one, other in zip(first, digests(OTHER_KEY), strict=True))
    assert all(len(one) == 16 for one in first)
