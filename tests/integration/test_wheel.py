"""The wheel, built and installed where no source tree is in reach, and run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from app.embedded import free_port
from tests.support.dev_process import Dev

pytestmark = pytest.mark.own_valkey

ROOT = Path(__file__).parents[2]
# What another package named `app` holds.
THEIRS = "OWNER = 'somebody else'\n"


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
    """The bin folder of a fresh environment: another package named `app`, the wheel, and the packages that we use, but
    not the source tree."""
    home = wheel.parent / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    packages = next(home.glob("lib/python*/site-packages"))
    (packages / "app").mkdir()
    (packages / "app" / "__init__.py").write_text(THEIRS)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", wheel, cwd=wheel.parent)
    # Path files within a folder named by a path file are not read, so ours to the source tree is not.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_holds_the_scripts_and_every_file_of_the_package(wheel: Path) -> None:
    members = set(zipfile.ZipFile(wheel).namelist())
    scripts = {f"leaderboard_server/lua/{path.relative_to(ROOT / 'lua')}" for path in (ROOT / "lua").rglob("*.lua")}
    package = {
        f"leaderboard_server/{path.relative_to(ROOT / 'app')}"
        for path in (ROOT / "app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    client = {f"leaderboard_server/clients/js/{path.name}" for path in (ROOT / "clients/js").iterdir()}
    assert "leaderboard_server/lua/apply.lua" in scripts
    assert "leaderboard_server/clients/js/live.js" in client
    assert "leaderboard_server/py.typed" in members
    assert scripts | client | package <= members


def test_the_image_is_built_from_all_that_the_wheel_takes() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    folders = {Path(name).parts[0] for name in (*wheel["only-include"], *wheel["force-include"])}
    lines = (ROOT / "deploy/Dockerfile").read_text().splitlines()
    assert {f"COPY {folder} {folder}" for folder in folders} <= set(lines)


def test_puts_nothing_but_its_own_package_into_an_environment(wheel: Path) -> None:
    (metadata,) = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()} - {"leaderboard_server"}
    assert metadata == f"leaderboard_server-{version('leaderboard-server')}.dist-info"


def test_is_not_the_source_tree(installed: Path) -> None:
    where = run(
        installed / "python", "-c", "import leaderboard_server as it; print(it.__file__, *it.__path__)", cwd=installed
    )
    assert all(Path(path).is_relative_to(installed.parent) for path in where.split())


def test_leaves_another_package_named_app_alone(installed: Path) -> None:
    assert run(installed / "python", "-c", "import app; print(app.OWNER)", cwd=installed) == "somebody else\n"
    (there,) = installed.parent.glob("lib/python*/site-packages/app")
    assert [path.name for path in there.iterdir() if path.name != "__pycache__"] == ["__init__.py"]
    assert (there / "__init__.py").read_text() == THEIRS


@pytest.mark.parametrize("name", ["app", "leaderboard_server"])
def test_a_clone_has_the_package_by_both_names(name: str) -> None:
    assert "checkconfig" in run(sys.executable, "-P", "-m", name, "--help", cwd=ROOT)


def test_a_clone_has_the_command() -> None:
    assert "checkconfig" in run(Path(sys.executable).with_name("leaderboard"), "--help", cwd=ROOT)


def test_runs_everything(installed: Path, tmp_path: Path) -> None:
    alone = {"PYTHONPATH": ""}
    command = (str(installed / "leaderboard"), "dev")
    with Dev(tmp_path / "data", "--port", str(free_port()), "--no-demo", command=command, environment=alone) as dev:
        assert dev.ready().healthy()
        with urllib.request.urlopen(dev.run["http"], timeout=5) as page:
            assert b"<title>" in page.read()
        with urllib.request.urlopen(f"{dev.run['http']}/clients/live.js", timeout=5) as module:
            assert module.read() == (ROOT / "clients/js/live.js").read_bytes()
        assert dev.ends() == 0
    shutil.rmtree(tmp_path)
