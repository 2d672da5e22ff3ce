"""What Lua 5.1 itself makes of a script: its compiled form, read back function by function."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from lupa.lua51 import LuaRuntime

_GET_GLOBAL, _SET_GLOBAL = 5, 7


@dataclass(slots=True)
class Function:
    """A compiled function. locals: the most that are alive at once; globals: those it reads or sets."""

    line: int
    upvalues: int
    locals: int
    globals: set[str]
    functions: list["Function"] = field(default_factory=list)

    def walk(self) -> Iterator["Function"]:
        """This function and all inside it."""
        yield self
        for inner in self.functions:
            yield from inner.walk()


def compile_script(source: str) -> Function:
    """The main function of a script. LuaSyntaxError, also where a limit of Lua 5.1 is passed."""
    lua = LuaRuntime(encoding=None)
    dump = lua.execute(b"return function(text) return string.dump(assert(loadstring(text))) end")
    return _Reader(dump(source.encode())).function()


class _Reader:
    """Reads a dump on a machine of 64 bits, little end first, from behind its 12 bytes of header."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 12

    def _take(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return int(value)

    def _text(self) -> str:
        size = self._take("<Q")
        text = self._data[self._at : self._at + max(0, size - 1)]
        self._at += size
        return text.decode(errors="replace")

    def _constant(self) -> str | None:
        match self._take("<B"):
            case 1:
                self._at += 1
            case 3:
                self._at += 8
            case 4:
                return self._text()
        return None

    def function(self) -> Function:
        """The function that stands here."""
        self._text()
        line, _ = self._take("<i"), self._take("<i")
        upvalues = self._take("<B")
        self._at += 3
        code = [self._take("<I") for _ in range(self._take("<i"))]
        constants = [self._constant() for _ in range(self._take("<i"))]
        inner = [self.function() for _ in range(self._take("<i"))]
        lines = self._take("<i")
        self._at += 4 * lines
        spans = [(self._text(), self._take("<i"), self._take("<i")) for _ in range(self._take("<i"))]
        for _ in range(self._take("<i")):
            self._text()
        alive = max((sum(begin <= at < end for _, begin, end in spans) for _, at, _ in spans), default=0)
        names = {constants[word >> 14] for word in code if word & 63 in (_GET_GLOBAL, _SET_GLOBAL)}
        return Function(line, upvalues, alive, {name for name in names if name}, inner)
