"""The findings of a verification, and its progress."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from ..model.visibility import is_erased

#: What helps where a comparison did not come to its end.
AGAIN = "run leaderboard verify again"
#: Findings that a verification records. If there are more, the first show the fault.
FINDINGS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. where: the namespace or part that has it; cure: what mends it; empty: no command does."""

    where: str
    what: str
    cure: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f": {self.cure}" if self.cure else "")


class Progress(Protocol):
    """Shows the progress of a verification, in users."""

    def begin(self, users: int) -> None:
        """The number of users to compare."""

    def at(self, what: str) -> None:
        """What is checked now."""

    def step(self, users: int) -> None:
        """So many more users are compared."""


@dataclass(slots=True)
class Report:
    """The findings so far, at most FINDINGS_MAX, each once. numbers, namespaces: how many were compared."""

    findings: dict[Finding, None] = field(default_factory=dict)
    numbers: int = 0
    namespaces: int = 0

    def note(self, where: str, what: str, *, cure: str = "") -> None:
        """Adds a finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings[Finding(where, what, cure)] = None


def repair_cure(namespace: str) -> str:
    """What mends a namespace of which Redis differs from the ledger."""
    return f"run leaderboard repair --namespace {namespace}"


def decimal_text(units: int | None, scale: int = 0) -> str:
    """Scaled units as an exact decimal of any length; `nothing` for None."""
    if units is None:
        return "nothing"
    whole, rest = divmod(abs(units), 10**scale)
    text = str(Decimal(f"{whole}.{rest:0{scale}d}").normalize()) if rest else str(whole)
    return f"-{text}" if units < 0 else text


def user_label(user: str | None) -> str:
    """A user's name in findings."""
    return "an erased user" if user is None or is_erased(user) else repr(user)
