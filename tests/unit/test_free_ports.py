"""Ports for processes that are started later."""

import random
from collections.abc import Iterator

import pytest

from app.embedded import free_port


def test_a_port_is_given_once_though_nobody_listens_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes of a cluster and the server choose theirs before the first of them starts."""
    drawn: Iterator[int] = iter((24_001, 24_001, 24_002, 24_001, 24_002, 24_003))
    monkeypatch.setattr(random, "randrange", lambda *_: next(drawn))
    assert [free_port() for _ in range(3)] == [24_001, 24_002, 24_003]
