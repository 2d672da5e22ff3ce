"""The options of an import: what is wrong with them is told before anything is read."""

from pathlib import Path

import pytest
import typer

from app.commands.import_options import mapping_of, read_toml

NO_FLAGS = dict.fromkeys(("namespace", "grant_id", "timezone", "time_format", "opening", "since", "until"))


@pytest.mark.parametrize(
    "text",
    [
        *("namespace = 5", "grant_id = ['x']", "timezone = 1", "time_format = 5", "delimiter = 5", "encoding = 5"),
        *('map = "x"', "[map]\nuser_id = 5", "[set]\namount = 5", "[namespace]", "opening = 5", "no_such = 1", "= 1"),
    ],
)
def test_a_mapping_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    with pytest.raises(typer.BadParameter, match=r"mapping\.toml"):
        read_toml(path)


@pytest.mark.parametrize("text", ["opening = 2026-01-01", 'opening = "2026-01-01"', "opening = 2026-01-01T00:00:00Z"])
def test_a_date_may_stand_without_quotes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(text)
    rules = mapping_of(read_toml(path), None, None, **NO_FLAGS)
    assert (rules.opening or "").startswith("2026-01-01T00:00:00")


@pytest.mark.parametrize("form", ["%d.%m.%d", "%Q", "%d.%", "%-d.%m"])
def test_a_pattern_of_times_that_is_none_is_told(form: str) -> None:
    with pytest.raises(typer.BadParameter):
        mapping_of({}, None, None, **NO_FLAGS | {"time_format": form})


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%Y%m%d", "100%% %Y", "epoch-ms"])
def test_a_pattern_of_times_is_taken(form: str) -> None:
    assert mapping_of({}, None, None, **NO_FLAGS | {"time_format": form}).time_format == form
