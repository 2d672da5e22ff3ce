"""Every block of the client's README runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from leaderboard_client import Leaderboard

from tests.conftest import Stack

README = Path(__file__).parents[2] / "clients/python/README.md"


def test_the_blocks_of_the_readme_run(own_stack: Stack) -> None:
    with Leaderboard(own_stack.url, key=own_stack.key) as client:
        client.put_namespace("gp")
        own_stack.sql("CREATE TABLE races (id bigint, finished bool)")
        blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
        assert len(blocks) >= 7
        known: dict[str, Any] = {"URL": own_stack.url, "KEY": own_stack.key, "POSTGRES": own_stack.postgres.url}
        for block in blocks:
            block = block.replace("server.close()\n", "")
            if "async def follow" in block:  # It follows for ever: one state is enough.
                block = block.replace(
                    "        async for",
                    "        print(await anext(live.watch('gp')))\n        return\n        async for",
                )
                block += "\n\nimport asyncio\n\nasyncio.run(asyncio.wait_for(follow(), 20))\n"
            exec(compile(block, str(README), "exec"), known)
        known["batcher"].close()
        assert known["highscores"].score_for("david") == 1337
        standing = client.user("gp", "hamilton")
        assert (standing.score, standing.grants) == (18 + 1 + 25, 3)
        known["server"].close()
