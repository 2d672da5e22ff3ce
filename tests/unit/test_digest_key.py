"""The digest key: from the setting or the file, the same for a whole deployment, and in no store."""

from pathlib import Path

import pytest

from app.access.digest_key import check_digest_key, digest_key_path, make_digest_key, proof_of, read_digest_key
from app.settings import Settings, SettingsError, read_settings

TEXT, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def settings(folder: Path, key: str | None = None) -> Settings:
    return read_settings({}, data_dir=str(folder), digest_key=key)


def test_a_new_key_lies_in_the_data_folder_for_its_owner_alone(tmp_path: Path) -> None:
    there = settings(tmp_path / "data")
    assert read_digest_key(there) == b""
    path = make_digest_key(there)
    assert path == digest_key_path(there)
    assert path.stat().st_mode & 0o777 == 0o600
    key = read_digest_key(there)
    assert (len(key), key) == (64, read_digest_key(there))
    assert read_digest_key(settings(tmp_path / "data", TEXT)) != key, "the setting goes before the file"
    with pytest.raises(SettingsError, match=r"a new one cannot be written to .*digest_key: File exists"):
        make_digest_key(there)
    assert read_digest_key(there) == key


def test_what_is_no_key_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LEADERBOARD_DIGEST_KEY: must have 32 or more characters"):
        settings(tmp_path, "short")
    (tmp_path / "digest_key").write_text("short\n")
    with pytest.raises(SettingsError, match="digest_key: must hold 32 or more characters"):
        read_digest_key(settings(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="LEADERBOARD_DIGEST_KEY: not given, and a new one cannot be written to"):
        make_digest_key(settings(tmp_path / "file"))


def test_another_key_than_that_of_the_deployment_is_refused(tmp_path: Path) -> None:
    mine = settings(tmp_path, TEXT)
    key = read_digest_key(mine)
    proof = proof_of(key, "d1")
    assert TEXT not in proof
    assert check_digest_key(mine, "d1", proof) == key
    with pytest.raises(SettingsError, match="LEADERBOARD_DIGEST_KEY: is not the digest key of deployment d1"):
        check_digest_key(settings(tmp_path, OTHER), "d1", proof)
    with pytest.raises(SettingsError, match="LEADERBOARD_DIGEST_KEY: is not"):
        check_digest_key(mine, "d2", proof)
    with pytest.raises(SettingsError, match=r"not given, and there is no .*digest_key: give the key"):
        check_digest_key(settings(tmp_path), "d1", proof)
    (tmp_path / "digest_key").write_text(OTHER)
    with pytest.raises(SettingsError, match="/digest_key: is not the digest key of deployment d1"):
        check_digest_key(settings(tmp_path), "d1", proof)


def test_a_deployment_without_a_key_goes_on_without_one(tmp_path: Path) -> None:
    assert check_digest_key(settings(tmp_path), "d1", "") == b""
    with pytest.raises(SettingsError, match="is not the digest key"):
        check_digest_key(settings(tmp_path, TEXT), "d1", "")
