"""A store that is away is logged once, with its address and without its password, and once when it is back."""

from __future__ import annotations

from time import monotonic

import pytest
from structlog.testing import capture_logs

from app.drivers.store_contact import StoreContact, address_of, contact, log_outages

URL = "postgresql://me:secret@db.example:5433/leaderboard"


@pytest.fixture(autouse=True)
def logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoreContact, "is_logged", False)
    log_outages()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (URL, "db.example:5433"),
        ("redis://:p%40ss@[::1]:6380/0", "[::1]:6380"),
        ("unix:///run/redis.sock?db=0", "/run/redis.sock"),
        ("postgresql://me:secret@/leaderboard?host=/run", "the local socket"),
    ],
)
def test_an_address_holds_neither_name_nor_password(url: str, address: str) -> None:
    assert address_of(url) == address


def test_silence_names_address_and_setting() -> None:
    store = StoreContact("Postgres", URL)
    assert store.silence == "Postgres does not answer at db.example:5433 (LEADERBOARD_POSTGRES_URL)"


def test_an_outage_is_logged_once_and_its_end_once() -> None:
    store = StoreContact("Postgres", URL)
    with capture_logs() as lines:
        store.note_answer()
        for _ in range(3):
            store.note_silence(ConnectionRefusedError("refused"), monotonic())
        for _ in range(3):
            store.note_answer()
        store.note_silence(TimeoutError(), monotonic())
    assert [line["event"] for line in lines] == ["Postgres is away", "Postgres is back", "Postgres is away"]
    assert "secret" not in str(lines)


def test_one_slow_call_that_others_overtook_is_no_outage() -> None:
    store = StoreContact("Redis", "redis://127.0.0.1:6379/0")
    began_s = monotonic()
    with capture_logs() as lines:
        store.note_answer()
        store.note_silence(TimeoutError(), began_s)
    assert lines == []


def test_a_connection_that_broke_in_an_outage_before_is_no_new_outage() -> None:
    store = StoreContact("Redis", "redis://127.0.0.1:6379/0")
    with capture_logs() as lines:
        store.note_answer()
        answered_s = monotonic()
        store.note_silence(ConnectionResetError(), monotonic(), answered_s)
        store.note_answer()
        store.note_silence(ConnectionResetError(), monotonic(), answered_s)
    assert [line["event"] for line in lines] == ["Redis is away", "Redis is back"]


def test_a_process_has_one_contact_for_a_store() -> None:
    assert contact("Redis", "redis://a:1") is contact("Redis", "redis://a:1")
