"""How far a rebuild has come: a text in the partition's meta, which changes in the very calls that write users."""

from typing import NamedTuple

from .fork import Fork

_CLEARS = "clears"


class RebuildProgress(NamedTuple):
    """How far a rebuild has come, as meta tells it. only_id: of the one namespace that it writes, 0 for all;
    namespace_id: of the one that it is at; part: 0 for what is open, then each closed window that is not
    archived; last: the number of the last user that was written; fork_epoch, fork_seq: only what changed behind
    this entry is written, 0: everything is."""

    epoch: int
    only_id: int = 0
    namespace_id: int = 0
    part: int = 0
    last: int = 0
    fork_epoch: int = 0
    fork_seq: int = 0

    @classmethod
    def parse(cls, text: str) -> "RebuildProgress | None":
        """None where no rebuild is under way, it has not cleared all keys yet, or a call of it failed half-way."""
        words = text.split()
        return cls(*map(int, words)) if len(words) == len(cls._fields) else None

    def __str__(self) -> str:
        return " ".join(map(str, self))

    @property
    def fork(self) -> Fork:
        """Behind which entry everything is written that has changed."""
        return Fork(self.fork_epoch, self.fork_seq)


class RebuildMoved(Exception):
    """Another rebuild writes this partition: this one stopped, and wrote nothing more."""


def clearing_text(epoch: int, fork: Fork) -> str:
    """The progress of a rebuild that has only begun: what it writes anew is being deleted."""
    return f"{epoch} {_CLEARS} {fork.epoch} {fork.seq}"


def fork_of_clearing(text: str) -> Fork | None:
    """The fork in such a progress; None for any other."""
    match text.split():
        case [_, word, epoch, seq] if word == _CLEARS:
            return Fork(int(epoch), int(seq))
    return None
