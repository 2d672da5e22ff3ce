"""What a command that cannot begin says: one plain line, with what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from app.embedded import free_port


def run(*words: str, **settings: str) -> tuple[int, str, str]:
    environment = {**os.environ, **{f"LEADERBOARD_{name}": value for name, value in settings.items()}}
    done = subprocess.run(
        [sys.executable, "-m", "app", *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_a_taken_port_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run("serve", "--port", str(port)) == (
            2,
            "",
            f"leaderboard: cannot listen on 127.0.0.1:{port}: Address already in use; choose another by --host and "
            "--port (LEADERBOARD_HOST, LEADERBOARD_PORT), or stop what listens there\n",
        )


def test_a_port_that_is_no_number_is_one_line() -> None:
    line = "leaderboard: LEADERBOARD_PORT=abc: must be an integer from 0 to 65535\n"
    assert run("serve", PORT="abc") == (2, "", line)


def test_every_wrong_setting_has_its_line() -> None:
    code, output, lines = run("checkconfig", PORT="abc", WORKERS="0", REDIS_URI="redis://x")
    assert (code, output) == (2, "")
    assert lines.splitlines() == [
        "leaderboard: LEADERBOARD_PORT=abc: must be an integer from 0 to 65535",
        "leaderboard: LEADERBOARD_WORKERS=0: must be an integer from 1 to 256",
        "leaderboard: LEADERBOARD_REDIS_URI: there is no such setting; did you mean LEADERBOARD_REDIS_URL?",
    ]


def test_a_redis_that_is_away_is_named_by_its_address_without_its_password() -> None:
    port = free_port()
    code, output, line = run("checkconfig", REDIS_URL=f"redis://:canary@127.0.0.1:{port}/0", DATA_DIR="/nowhere")
    assert (code, output, len(line.splitlines())) == (1, "", 1)
    assert line.startswith(f"leaderboard: Redis does not answer at 127.0.0.1:{port} (LEADERBOARD_REDIS_URL): ")
    assert "canary" not in line


def test_a_key_for_names_that_cannot_be_is_refused_plainly() -> None:
    code, output, text = run("keys", "create", "--scope", "write:f1/*")
    assert (code, output) == (2, "")
    assert "no namespace can match 'f1/*': a name is 1 to 64 of A-Z a-z 0-9 . _ -" in " ".join(
        text.replace("│", " ").split()
    )


def test_the_list_of_keys_says_that_a_bootstrap_key_is_not_in_it() -> None:
    code, output, _ = run("keys", "list", "--help")
    assert code == 0
    assert "A bootstrap key is a setting (LEADERBOARD_API_KEY" in " ".join(output.replace("│", " ").split())
