"""What an export has in its columns, by kind: grants, revisions, standings, profiles, namespaces, boards."""

from typing import Any, Literal, NamedTuple

from ..model.namespace import Rules

Kind = Literal["text", "number", "integer", "moment", "flag", "json"]
What = Literal["grants", "revisions", "boards", "standings", "profiles", "namespaces"]


class Column(NamedTuple):
    """A column. is_sparse: left out of NDJSON where it is null, because most grants know nothing of it."""

    name: str
    kind: Kind = "text"
    is_sparse: bool = False


class Table(NamedTuple):
    """The columns of an export."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The header of a CSV."""
        return tuple(column.name for column in self.columns)

    def members(self, row: tuple[Any, ...]) -> dict[str, Any]:
        """A row as an object. Nulls stand there; a sparse column only where it is true."""
        return {
            column.name: value for column, value in zip(self.columns, row, strict=True) if value or not column.is_sparse
        }


_GRANT = (
    *(Column("namespace"), Column("grant_id"), Column("user_id"), Column("amount", "number")),
    *(Column("category"), Column("source"), Column("source_id"), Column("action")),
    *(Column("granted_at", "moment"), Column("session_id"), Column("meta", "json"), Column("opening", "flag", True)),
)
_REVISION = (
    *(Column("revision", "integer"), Column("verb"), Column("voided", "flag"), Column("reason"), Column("actor")),
    *(Column("recorded_at", "moment"), Column("partition", "integer"), Column("epoch", "integer")),
    Column("seq", "integer"),
)
_KINDS_OF_RULES: dict[str, Kind] = {
    "scale": "integer",
    **dict.fromkeys(("category_boards", "streaks", "statistics", "bounded_sums"), "flag"),
    **dict.fromkeys(("periods", "velocity", "seasons", "bands"), "json"),
    **dict.fromkeys(("amount_min", "amount_max"), "number"),
}

TABLES: dict[What, Table] = {
    "grants": Table(_GRANT),
    "revisions": Table((*_GRANT, *_REVISION)),
    "boards": Table(
        (
            *(Column("namespace"), Column("window"), Column("category"), Column("position", "integer")),
            *(Column("rank", "integer"), Column("user_id"), Column("score", "number")),
            *(Column("display_name"), Column("avatar")),
        )
    ),
    "standings": Table(
        (
            *(Column("namespace"), Column("user_id"), Column("score", "number"), Column("grants", "integer")),
            Column("hidden", "flag"),
        )
    ),
    "profiles": Table(
        (
            *(Column("namespace"), Column("user_id"), Column("display_name"), Column("avatar"), Column("timezone")),
            *(Column("opt_out", "flag"), Column("hidden", "flag")),
        )
    ),
    "namespaces": Table(
        (Column("name"), *(Column(rule, _KINDS_OF_RULES.get(rule, "text")) for rule in Rules.__struct_fields__))
    ),
}
