"""Commands without addresses use those of a `leaderboard dev` in the data folder, where it is the caller's own."""

import json
import os
from pathlib import Path

import pytest

from app.commands.local_run import use_local_run

RUN = {
    "http": "http://h",
    "api_key": "lb_a_b",
    "redis": "redis://r",
    "postgres": "postgresql://p",
    "pids": {"serve": 1},
}
ADDED = {
    "LEADERBOARD_URL": "http://h",
    "LEADERBOARD_API_KEY": "lb_a_b",
    "LEADERBOARD_REDIS_URL": "redis://r",
    "LEADERBOARD_POSTGRES_URL": "postgresql://p",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    return {"LEADERBOARD_DATA_DIR": str(tmp_path)}


def test_adds_the_addresses_and_the_key(environment: dict[str, str], tmp_path: Path) -> None:
    before = dict(environment)
    assert use_local_run(environment) == tmp_path / "run.json"
    assert environment == before | ADDED


@pytest.mark.parametrize("name", ADDED)
def test_one_address_that_is_given_says_it_all(environment: dict[str, str], name: str) -> None:
    environment[name] = "given"
    before = dict(environment)
    assert (use_local_run(environment), environment) == (None, before)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(RUN | {"redis": None})])
def test_a_file_of_another_kind_adds_nothing(environment: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    before = dict(environment)
    assert (use_local_run(environment), environment) == (None, before)


def test_without_a_run_nothing_is_added(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "run.json").unlink()
    assert use_local_run(environment) is None


def test_somebody_elses_file_adds_nothing(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert use_local_run(environment) is None
