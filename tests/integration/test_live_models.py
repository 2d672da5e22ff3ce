"""Model clients follow boards through random writes, kills of one of two servers and reconnects, and equal REST at each
version."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.live_storm import LiveStorm


@contextmanager
def storm(stack: Any, day_starts: str = "00:00") -> Iterator[LiveStorm]:
    seed = int(os.environ.get("LIVE_SEED", random.randrange(10**6)))
    print(f"LIVE_SEED={seed}")
    made = LiveStorm(stack, seed, day_starts)
    try:
        yield made
    finally:
        made.down()
        print(dict(made.book.counts), dict(made.book.compared))


def test_clients_hold_what_rest_answers_at_each_version(own_stack: Any) -> None:
    with storm(own_stack) as made:
        made.run(2.0, kill_every_s=0.7, change_every_s=0.7)


@pytest.mark.full
def test_clients_hold_what_rest_answers_for_a_minute(own_stack: Any) -> None:
    """Days and weeks begin anew in the midst of it."""
    begin = datetime.now(UTC) + timedelta(seconds=75)
    with storm(own_stack, f"{begin:%H:%M}") as made:
        made.run(75.0, kill_every_s=5.0, change_every_s=6.0)
        readings = map(made.models[0].reading_of, range(len(made.watches)))
        days = {reading.place[0] for reading in readings if reading is not None}
        assert f"{begin:%Y-%m-%d}" in days, "the day moved on"
