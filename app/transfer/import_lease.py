"""Keeps the windows of namespaces open while something is imported into them."""

import asyncio
import secrets

import httpx
import msgspec

from .import_client import ImportClient, ImportStop, path_segment, problem_of

#: Seconds between two renewals: a lease holds for a minute, so that a lost one or two do no harm.
RENEWAL_S = 15.0
#: Namespaces that are kept open; others are imported as well, behind the seals that come meanwhile.
LEASES_MAX = 1_000


class _Lease(msgspec.Struct):
    """Of which namespace a lease is; empty where the server does not tell."""

    namespace_instance: str = ""


_read_lease = msgspec.json.Decoder(_Lease).decode


class ImportLeases:
    """The leases of one import: renewed by a task, ended at its end, and over by themselves after a kill."""

    def __init__(self, client: ImportClient, instances: dict[str, str], *, is_dry: bool) -> None:
        """instances: which namespace of a name it was before, also before a kill; it is added to."""
        self._client = client
        self._instances = instances
        self._is_dry = is_dry
        self._fault = ""
        self._name = secrets.token_hex(8)
        self._namespaces: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def begin(self, namespace: str) -> None:
        """Takes a lease of a namespace. ImportStop if the key is no admin's, and for another namespace of that name."""
        if self._is_dry or len(self._namespaces) >= LEASES_MAX:
            return
        answer = await self._client.ask("PUT", self._path(namespace))
        if answer.status_code != 200:
            raise ImportStop(problem_of(answer))
        self._compare(namespace, answer)
        self._namespaces.append(namespace)
        self.check()
        if self._task is None:
            self._task = asyncio.create_task(self._renew())

    def check(self) -> None:
        """ImportStop if a namespace is another one than before."""
        if self._fault:
            raise ImportStop(self._fault)

    def _compare(self, namespace: str, answer: httpx.Response) -> None:
        instance = self._client.read(_read_lease, answer).namespace_instance
        if self._instances.setdefault(namespace, instance) != instance:
            self._fault = (
                f"{namespace!r} is not the namespace into which rows were imported before: it was deleted and made"
                " anew, or lies in another deployment. Give --restart to begin anew"
            )

    async def end(self) -> None:
        """Ends them all. What cannot be told to the server ends by itself."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for namespace in self._namespaces:
            if await self._client.tell("DELETE", self._path(namespace)) is None:
                return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            for namespace in self._namespaces:
                answer = await self._client.tell("PUT", self._path(namespace))
                if answer is None:
                    continue
                try:
                    self._compare(namespace, answer)
                except ImportStop as stop:
                    self._fault = str(stop)

    def _path(self, namespace: str) -> str:
        return f"/v1/namespaces/{path_segment(namespace)}/imports/{self._name}"
