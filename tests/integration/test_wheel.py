"""The wheel, built and installed where no source tree is in reach, and run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from app.embedded import free_port
from tests.integration.running import Dev

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, with no path of ours to find modules by; what it wrote."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # With the build backend at hand nothing need be fetched.
    alone = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", *alone, "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The bin folder of a fresh environment: the wheel, and of ours the other packages, but not the source tree."""
    home = wheel.parent / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=wheel.parent)
    packages = next(home.glob("lib/python*/site-packages"))
    # Path files within a folder named by a path file are not read, so ours to the source tree is not.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_holds_the_scripts_and_every_file_of_the_package(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    scripts = {f"app/lua/{path.relative_to(ROOT / 'lua')}" for path in (ROOT / "lua").rglob("*.lua")}
    package = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "app/lua/apply.lua" in scripts
    assert scripts | package <= held
    assert not {name for name in held if name.startswith("tests/")}


def test_is_not_the_source_tree(installed: Path) -> None:
    where = run(installed / "python", "-c", "import app; print(app.__file__)", cwd=installed)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_runs_everything(installed: Path, tmp_path: Path) -> None:
    alone = {"PYTHONPATH": ""}
    command = (str(installed / "leaderboard"), "dev")
    with Dev(tmp_path / "data", "--port", str(free_port()), "--no-demo", command=command, environment=alone) as dev:
        assert dev.ready().healthy()
        assert dev.ends() == 0
    shutil.rmtree(tmp_path)
