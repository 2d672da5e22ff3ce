"""The board that a request names."""

from typing import NamedTuple

from .errors import Invalid
from .namespace import Namespace
from .window_problem import window_problem
from .windows import Window


class BoardRef(NamedTuple):
    """One board of a namespace: a window's, of all grants or of one category."""

    namespace: Namespace
    window: Window
    category: str | None = None

    @property
    def name(self) -> str:
        """Its name in keys and in the ledger, within its namespace."""
        return self.window.name if self.category is None else f"{self.window.name}:{self.category}"


def find_board(
    namespace: Namespace,
    window_name: str,
    category: str | None,
    now: int,
    fields: tuple[str, str] = ("{window}", "?category"),
) -> BoardRef:
    """The board of a window, by the window's name or its period. now: µs. fields: where the request names the window
    and the category. BoardNotFound; Invalid for a category where the namespace keeps no boards of them."""
    if category is not None and not namespace.rules.category_boards:
        raise Invalid("the namespace keeps no boards of categories: its category_boards is false", field=fields[1])
    return BoardRef(namespace, find_window(namespace, window_name, now, fields[0]), category)


def find_window(namespace: Namespace, name: str, now: int, field: str) -> Window:
    """A window by its name or its period. BoardNotFound."""
    window = namespace.calendar.find(name, now)
    if window is None:
        raise window_problem(namespace, name, field)
    return window
