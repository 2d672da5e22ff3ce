"""Watchers of one board, in a process of their own: they read what comes until standard input ends."""

import asyncio
import json
import sys

from websockets.asyncio.client import ClientConnection, connect

#: Seconds a watcher may wait for its first frame.
FIRST_S_MAX = 30.0


async def drain(socket: ClientConnection) -> None:
    """Reads and forgets."""
    async for _ in socket:
        pass


async def main(port: int, key: str, namespace: str, watchers: int) -> None:
    """Subscribes to the top ten, says so in one line, and reads."""
    sockets = []
    for _ in range(watchers):
        socket = await connect(f"ws://127.0.0.1:{port}/v1/live", additional_headers={"Authorization": f"Bearer {key}"})
        view = {"kind": "top", "limit": 10}
        await socket.send(json.dumps({"type": "subscribe", "id": 1, "namespace": namespace, "view": view}))
        while json.loads(await asyncio.wait_for(socket.recv(), FIRST_S_MAX))["type"] != "snapshot":
            pass
        sockets.append(socket)
    readers = [asyncio.ensure_future(drain(socket)) for socket in sockets]
    print("watching", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for reader in readers:
        reader.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
