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
        *("digest_ids = 1", 'digest_ids = "true"', "namespace = true", "[map]\nuser_id = true"),
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
    rules = mapping_of(read_toml(path), None, None, has_digest_ids=False, **NO_FLAGS)
    assert (rules.opening or "").startswith("2026-01-01T00:00:00")


@pytest.mark.parametrize("form", ["%d.%m.%d", "%Q", "%d.%", "%-d.%m"])
def test_a_pattern_of_times_that_is_none_is_told(form: str) -> None:
    with pytest.raises(typer.BadParameter):
        mapping_of({}, None, None, has_digest_ids=False, **NO_FLAGS | {"time_format": form})


@pytest.mark.parametrize("form", ["%d.%m.%Y %H:%M", "%Y%m%d", "100%% %Y", "epoch-ms"])
def test_a_pattern_of_times_is_taken(form: str) -> None:
    flags = NO_FLAGS | {"time_format": form}
    assert mapping_of({}, None, None, has_digest_ids=False, **flags).time_format == form


def test_a_field_that_is_none_cannot_be_empty() -> None:
    with pytest.raises(typer.BadParameter, match="'points' is none of"):
        mapping_of({}, None, None, has_digest_ids=False, skip_empty=["points"], **NO_FLAGS)


@pytest.mark.parametrize(("text", "flag"), [("digest_ids = true", False), ("digest_ids = false", True)])
def test_ids_of_digests_by_a_flag_or_a_mapping(tmp_path: Path, text: str, flag: bool) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(f'{text}\ngrant_id = "{{id}}"')
    assert mapping_of(read_toml(path), None, None, has_digest_ids=flag, **NO_FLAGS).digests


@pytest.mark.parametrize("flags", [{}, {"grant_id": "{id}", "opening": "2026-01-01"}])
def test_ids_of_digests_stand_in_for_those_of_a_template_alone(flags: dict[str, str]) -> None:
    with pytest.raises(typer.BadParameter, match="--grant-id"):
        mapping_of({}, None, None, has_digest_ids=True, **NO_FLAGS | flags)
