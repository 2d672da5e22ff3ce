"""What a verification finds, and how far it has come."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from ..model.visibility import is_erased

#: Findings that a verification keeps: where there are more, the first show the fault.
FINDINGS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; where: what it was found in."""

    where: str
    what: str


class Progress(Protocol):
    """Who is told how far it has come, in users compared of those known."""

    def begin(self, users: int) -> None:
        """How many there are."""

    def at(self, what: str) -> None:
        """What is looked at now."""

    def step(self, users: int) -> None:
        """So many more are compared."""


@dataclass(slots=True)
class Report:
    """The findings so far, at most FINDINGS_MAX of them, each once; numbers: how many were compared."""

    findings: dict[Finding, None] = field(default_factory=dict)
    numbers: int = 0
    namespaces: int = 0

    def note(self, where: str, what: str) -> None:
        """One more finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings[Finding(where, what)] = None


def decimal_text(units: int | None, scale: int = 0) -> str:
    """Scaled units as an exact decimal, however long; nothing where there is none."""
    if units is None:
        return "nothing"
    whole, rest = divmod(abs(units), 10**scale)
    text = str(Decimal(f"{whole}.{rest:0{scale}d}").normalize()) if rest else str(whole)
    return f"-{text}" if units < 0 else text


def user_label(user: str | None) -> str:
    """A user as findings name them."""
    return "an erased user" if user is None or is_erased(user) else repr(user)
