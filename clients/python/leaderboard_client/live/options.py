"""What a live connection needs, and what can be chosen."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Protocol

from ..errors import Problem
from .subscription import OnState


class Login(Protocol):
    """Where the server is, and what the client shows to be known."""

    url: str

    @property
    def can_renew(self) -> bool:
        """Whether another token can be had."""

    def forget(self, token: str | None) -> None:
        """The server does not accept this token any more."""

    def token(self) -> Awaitable[str | None] | str | None:
        """The key or token, or something to await for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """on_problem: called with each fault, also those that pass; ssl: certificates of yours; silence_s: after so much
    silence the server is asked; answer_s: for how long an answer is waited for."""

    on_problem: Callable[[Problem], None] = field(default=lambda _problem: None)
    on_state: OnState | None = None
    ssl: SSLContext | None = None
    silence_s: float = 35.0
    answer_s: float = 5.0
    chance: Callable[[], float] = random.random
