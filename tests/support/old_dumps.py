"""Small dumps of other systems, each in the form in which that system exports. All hold the same events or totals."""

import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

ANN, BOB = "5f3c1a52-9a4e-4c65-8d51-2f6f0c6d8a01", "7b0e8f0d-51c2-4f0f-9a41-98a0c3e4d102"


class OldEvent(NamedTuple):
    """An event of the old system."""

    user_id: str
    points: int
    at: datetime


EVENTS = [
    OldEvent("ann", 5, datetime(2026, 1, 5, 10, 0, 0, 120_000, tzinfo=UTC)),
    OldEvent("bob", 7, datetime(2026, 1, 5, 23, 30, tzinfo=UTC)),
    OldEvent("ann", 5, datetime(2026, 1, 12, 8, 15, tzinfo=UTC)),
    OldEvent("ann", -2, datetime(2026, 2, 1, 0, 0, tzinfo=UTC)),
]
TOTALS = {"ann": 8, "bob": 7}


class OldDump(NamedTuple):
    """A dump. write: makes its files in a folder; namespace, scores: what the guide's commands make of it; grants: how
    many."""

    write: Callable[[Path], None]
    namespace: str
    scores: Mapping[str, float]
    grants: int


def _lines(*documents: object) -> str:
    return "".join(json.dumps(document, separators=(",", ":")) + "\n" for document in documents)


def _convex(folder: Path) -> None:
    """A snapshot: a folder for each table, a document a line; numbers are doubles, an int64 is a text."""
    events = [
        {"_creationTime": event.at.timestamp() * 1000 + 0.25, "_id": f"k17{i:029}", "points": points, "userId": user}
        for i, event in enumerate(EVENTS)
        for user, points in ((event.user_id, str(event.points) if i == 1 else float(event.points)),)
    ]
    totals = [
        {"_creationTime": 1767607200000.5, "_id": f"j57{i:029}", "total": float(total), "userId": user}
        for i, (user, total) in enumerate(TOTALS.items())
    ]
    with zipfile.ZipFile(folder / "snapshot.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("README.md", "# Convex snapshot\n")
        file.writestr("_tables/documents.jsonl", _lines({"id": 10001, "name": "scoreEvents"}))
        file.writestr("scoreEvents/documents.jsonl", _lines(*events))
        file.writestr("scoreEvents/generated_schema.jsonl", '"any"\n')
        file.writestr("leaderboard/documents.jsonl", _lines(*totals))


def _mongo(folder: Path) -> None:
    """mongoexport, relaxed."""
    events = [
        {
            "_id": {"$oid": f"{0x65E1A0000000000000000000 + i:024x}"},
            "player": {"id": event.user_id, "level": 3},
            "points": event.points,
            "createdAt": {"$date": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")},
        }
        for i, event in enumerate(EVENTS)
    ]
    (folder / "score_events.json").write_text(_lines(*events))
    totals = [
        {"_id": {"$oid": f"{i:024x}"}, "player": {"id": user}, "total": n} for i, (user, n) in enumerate(TOTALS.items())
    ]
    (folder / "totals.json").write_text(_lines(*totals))


def _sql(folder: Path) -> None:
    """psql's \\copy … CSV HEADER of a timestamp without time zone, which is Berlin's clock (UTC + 1)."""
    rows = [
        f'{i},{event.user_id},{event.points},"won, at home",{event.at + timedelta(hours=1):%F %T.%f}'
        for i, event in enumerate(EVENTS, 1)
    ]
    (folder / "score_events.csv").write_text("\n".join(["id,user_id,points,reason,created_at", *rows, ""]))
    totals = [f"{user},{total}" for user, total in TOTALS.items()]
    (folder / "leaderboard_entries.csv").write_text("\n".join(["user_id,score", *totals, ""]))


def _sorted_set(folder: Path) -> None:
    """ZRANGE … WITHSCORES of redis-cli, two lines side by side."""
    rows = [f"{user}\t{total}" for user, total in TOTALS.items()]
    (folder / "highscores.tsv").write_text("\n".join(["user_id\tscore", *rows, ""]))


def _decimal_set(folder: Path) -> None:
    _sorted_set(folder)
    with (folder / "highscores.tsv").open("a") as file:
        file.write("cem, the third\t2.5\n")


def _nakama(folder: Path) -> None:
    """psql's \\copy of leaderboard_record, of two weeks."""
    rows = [
        f'1767571200,{ANN},ann,5,"{{""car"": ""red""}}",2026-01-04 10:00:00.123456+00',
        f"1768176000,{ANN},ann,3,{{}},2026-01-06 10:00:00+00",
        f"1768176000,{BOB},bob,7,{{}},2026-01-07 11:00:00.5+00",
    ]
    head = "expiry,owner_id,username,score,metadata,update_time"
    (folder / "records.csv").write_text("\n".join([head, *rows, ""]))
    (folder / "totals.csv").write_text(f"owner_id,score\n{ANN},8\n{BOB},7\n")


DUMPS = {
    "from-convex": OldDump(_convex, "convex-points", TOTALS, 4),
    "from-mongo": OldDump(_mongo, "mongo-points", TOTALS, 4),
    "from-sql-tables": OldDump(_sql, "sql-points", TOTALS, 4),
    "from-redis": OldDump(_decimal_set, "redis-points", {**TOTALS, "cem, the third": 2.5}, 3),
    "from-nakama": OldDump(_nakama, "nakama-points", {ANN: 8, BOB: 7}, 3),
    "from-agoragames": OldDump(_sorted_set, "agora-points", TOTALS, 2),
}
