"""Keeps the windows of namespaces open while something is imported into them."""

import asyncio
import secrets
from urllib.parse import quote

from .import_client import ImportClient, ImportStop, problem_of

#: Seconds between two renewals: a lease holds for a minute, so that a lost one or two do no harm.
RENEWAL_S = 15.0
#: Namespaces that are kept open; others are imported as well, behind the seals that come meanwhile.
LEASES_MAX = 1_000


class ImportLeases:
    """The leases of one import: renewed by a task, ended at its end, and over by themselves after a kill."""

    def __init__(self, client: ImportClient, *, is_dry: bool) -> None:
        self._client = client
        self._is_dry = is_dry
        self._name = secrets.token_hex(8)
        self._namespaces: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def begin(self, namespace: str) -> None:
        """Takes a lease of a namespace. ImportStop if the key is no admin's."""
        if self._is_dry or len(self._namespaces) >= LEASES_MAX:
            return
        answer = await self._client.ask("PUT", self._path(namespace))
        if answer.status_code != 200:
            raise ImportStop(problem_of(answer))
        self._namespaces.append(namespace)
        if self._task is None:
            self._task = asyncio.create_task(self._renew())

    async def end(self) -> None:
        """Ends them all. What cannot be told to the server ends by itself."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for namespace in self._namespaces:
            if not await self._client.tell("DELETE", self._path(namespace)):
                return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            for namespace in self._namespaces:
                await self._client.tell("PUT", self._path(namespace))

    def _path(self, namespace: str) -> str:
        return f"/v1/namespaces/{quote(namespace, safe='')}/imports/{self._name}"
