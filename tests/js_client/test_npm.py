"""The npm package as others use it: packed, installed beside the package ws, its types checked by TypeScript."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Stack
from tests.js_client.test_node import FOLLOW, grant, read, wait_for
from tests.support.node_program import CLIENT, NODE, NodeProgram
from tests.support.tcp_proxy import TcpProxy

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("npm") is None and "CI" not in os.environ, reason="no npm is installed"),
]

PACKAGES = ("ws@8.23.0", "typescript@5.9.3")
COMPILER = {
    "noEmit": True,
    "allowJs": True,
    "checkJs": True,
    "strict": True,
    "noUnusedLocals": True,
    "allowImportingTsExtensions": True,
    "target": "ES2022",
    "module": "NodeNext",
    "moduleResolution": "NodeNext",
    "lib": ["ES2022", "DOM", "DOM.Iterable"],
    "types": [],
}
USER = """
import { Leaderboard, Problem, type Board, type Receipt } from '@leaderboard/live';

const board = new Leaderboard({ url: 'https://x', token: async () => 't', WebSocket });
const live = board.connect({ onState: (state, problem) => console.log(state === 'waiting', problem?.code) });
const states: Board[] = [];
const around = { kind: 'around', user: 'a', radius: 2 } as const;
const subscription = live.subscribe({ namespace: 'gp', view: around }, (state, change) => {
  states.push(state);
  const ranks: number[] = change.upsert.map((entry) => entry.rank);
  console.log(ranks, change.remove.length, subscription.board?.entries[0]?.user_id);
});
const receipt: Receipt = await board.grant('gp', { user_id: 'a', amount: 1 });
for (const result of (await board.batch('gp', [])).results) {
  if (result.status === 'rejected') console.log(result.error.retryable);
}
try {
  await board.board('gp', 'day', { user: ['a', 'b'], as_of: new Date() }, { signal: AbortSignal.timeout(1) });
} catch (error) {
  if (error instanceof Problem) console.log(error.code, error.retryAfterMs, receipt.score);
}
// @ts-expect-error: a grant has an amount.
await board.grant('gp', { user_id: 'a' });
// @ts-expect-error: there is no such view.
live.subscribe({ namespace: 'gp', view: { kind: 'bottom' } }, () => {});
// @ts-expect-error: a state never changes.
states[0].entries.push();
"""
WITH_WS = f"const {{ default: WebSocket }} = await import(given.ws);\n{FOLLOW}".replace(
    "token: given.token }", "token: given.token, WebSocket }"
).replace("board.connect({", "board.connect({ silenceMs: 300, answerMs: 500,")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the package is installed from its archive."""
    folder = tmp_path_factory.mktemp("npm")
    (packed,) = json.loads(run("npm", "pack", "--json", str(CLIENT), cwd=folder))
    assert {file["path"] for file in packed["files"]} == {
        path.name for path in CLIENT.iterdir() if path.suffix in {".js", ".ts", ".json", ".md"}
    }
    (folder / "package.json").write_text('{"type": "module"}')
    run("npm", "install", "--no-audit", "--no-fund", f"./{packed['filename']}", *PACKAGES, cwd=folder)
    yield folder
    shutil.rmtree(folder)


def compile_with_types(project: Path, *files: str) -> None:
    (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER, "files": files}))
    run(NODE, "node_modules/typescript/bin/tsc", "-p", ".", cwd=project)


def test_the_modules_are_what_their_types_say(project: Path) -> None:
    copy = project / "client"
    shutil.copytree(CLIENT, copy, dirs_exist_ok=True)
    compile_with_types(project, "client/live.js")


def test_the_types_fit_a_program(project: Path) -> None:
    (project / "user.ts").write_text(USER)
    compile_with_types(project, "user.ts")


def test_the_types_name_what_the_module_exports(project: Path) -> None:
    (project / "all.ts").write_text(
        "import * as client from '@leaderboard/live';\nexport const all: Record<keyof typeof client, 1> = "
        "{ Leaderboard: 1, Problem: 1 };\n"
    )
    compile_with_types(project, "all.ts")
    names = "import('@leaderboard/live').then((client) => console.log(Object.keys(client).sort().join()))"
    assert run(NODE, "--eval", names, cwd=project) == "Leaderboard,Problem\n"


@pytest.mark.parametrize("node", sorted({NODE, shutil.which("node") or NODE}))
def test_with_ws_a_board_is_followed_through_cuts_and_silence(
    project: Path, live_server: Stack, api: httpx.Client, space: str, node: str
) -> None:
    modules = project / "node_modules"
    places: dict[str, Any] = {
        "ws": (modules / "ws/wrapper.mjs").as_uri(),
        "client": (modules / "@leaderboard/live/live.js").as_uri(),
    }
    grant(api, space, "ann", 3)
    with TcpProxy(live_server.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        with NodeProgram(WITH_WS, url=url, token=live_server.key, space=space, node=node, **places) as program:
            wait_for(program, read(api, space))
            grant(api, space, "bob", 5)
            wait_for(program, read(api, space))
            proxy.cut()
            assert program.hear_until("error") == "connection_lost"
            grant(api, space, "cid", 7)
            proxy.mend()
            wait_for(program, read(api, space))
            proxy.hold()
            assert program.hear_until("error") == "silence"
            grant(api, space, "dan", 2)
            proxy.mend()
            wait_for(program, read(api, space), 30)
            program.say("close")
            assert program.ends() == 0
