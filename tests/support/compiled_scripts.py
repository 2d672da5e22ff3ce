"""A fakeredis that compiles each script once, as Redis does: it would compile the text at every call, 2 ms of each."""

from typing import Any

import fakeredis


class _Runtime:
    """The Lua of a fakeredis, which keeps what it has compiled."""

    def __init__(self, lua: Any) -> None:
        self._lua = lua
        self._compiled: dict[bytes, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lua, name)

    def execute(self, source: bytes) -> Any:
        """What a text returns."""
        function = self._compiled.get(source)
        if function is None:
            function = self._compiled[source] = self._lua.compile(source)
        return function()


def fake_redis() -> fakeredis.FakeRedis:
    """A client of a store of its own."""
    client = fakeredis.FakeRedis()
    client.eval("return 1", 0)  # its Lua is made at the first call
    connection: Any = client.connection_pool.get_connection()
    server = connection._server
    server._lua_runtime = _Runtime(server._lua_runtime)
    client.connection_pool.release(connection)
    return client
