"""Parameters of the path, the query and the head: what each takes, in which words, with an example."""

from typing import Any, NamedTuple

from ..admin.key_handlers import PAGE_MAX as KEYS_MAX
from ..live.views import RADIUS_MAX as LIVE_RADIUS_MAX
from ..live.views import TOP_MAX
from ..live.views import USERS_MAX as LIVE_USERS_MAX
from ..model.event import OF_AUDIT, OF_LEDGER
from ..model.text import LABEL_CHARS_MAX, NAME_CHARS_MAX
from ..read.activity import LIMIT_MAX as TRENDS_MAX
from ..read.board_parameters import LIMIT_MAX as ROWS_MAX
from ..read.board_parameters import RADIUS_MAX, USERS_MAX
from ..read.board_questions import RANDOM_MAX
from ..read.events import LIMIT_MAX as EVENTS_MAX
from ..read.grant_history import LIMIT_MAX as HISTORY_MAX
from ..read.grant_lists import LIMIT_MAX as GRANTS_MAX
from ..read.includes import INCLUDES
from ..read.search import LIMIT_MAX as MATCHES_MAX
from ..read.search import Q_CHARS_MIN
from ..read.stats import BINS_MAX
from ..read.user_ranks import LIMIT_MAX as STANDINGS_MAX
from ..webhooks.handlers import STATES
from ..webhooks.webhook_registry import PAGE_MAX as DELIVERIES_MAX
from ..write.acknowledgements import LEVELS
from .schema import INTEGER, MOMENT, NUMBER, TEXT, Schema, list_of


class Parameter(NamedTuple):
    """One parameter. about: its description; is_list: its items go into one text, separated by commas."""

    about: str
    schema: Schema
    example: Any
    is_list: bool = False

    def body(self, name: str, place: str, *, required: bool = False) -> Schema:
        """The Parameter Object. place: `path`, `query` or `header`.

        The schema has no default: generated clients would send it, and some parameters exclude others.
        """
        comma = {"style": "form", "explode": False} if self.is_list else {}
        shown = {"schema": self.schema, "example": self.example}
        return {"name": name, "in": place, "description": self.about, "required": required, **comma, **shown}


_ID: Schema = {"type": "string", "minLength": 1, "maxLength": 128}
_LABEL: Schema = {"type": "string", "minLength": 1, "maxLength": LABEL_CHARS_MAX}
_FLAG: Schema = {"type": "boolean"}
_CURSOR = Parameter("`next_cursor` of the page before; absent: the first page.", TEXT, "MjUgdmVyc3RhcHBlbg")


def _int(low: int, high: int) -> Schema:
    return {**INTEGER, "minimum": low, "maximum": high}


def _limit(high: int, *, default: int = 100, low: int = 1) -> Parameter:
    return Parameter(f"How many at most: {low} to {high}; absent: {default}.", _int(low, high), min(default, high))


def _enum(*values: str) -> Schema:
    return {"type": "string", "enum": [*values]}


PATH: dict[str, Parameter] = {
    "namespace": Parameter("The namespace's name.", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}, "f1-2021"),
    "window": Parameter(
        "A period (`all`, `year`, `quarter`, `month`, `week`, `day`, `hour`: the one that runs now) or a window's own "
        "name (`2021`, `2021-Q3`, `2021-07`, `2021-W28`, `2021-07-18`, `season:spring`).",
        TEXT,
        "all",
    ),
    "user": Parameter("The user's id: up to 128 bytes of UTF-8, percent-encoded.", _ID, "verstappen"),
    "grant_id": Parameter("The grant's id: up to 128 bytes of UTF-8, percent-encoded.", _ID, "race-1061-verstappen"),
    "import_id": Parameter("A name for the import, of the client's choice.", _LABEL, "from-redis"),
    "position": Parameter("A place on the board; 1 is the first.", _int(1, 999_999_999), 1),
    "percentile": Parameter("A percentile, from 0 to 100.", {**NUMBER, "minimum": 0, "maximum": 100}, 90),
    "score": Parameter("A score, with at most the namespace's scale of places.", NUMBER, 20),
}
#: `id` in a path, by what stands before it.
IDS: dict[str, Parameter] = {
    "webhooks": Parameter(
        "The webhook's id, of the client's choice.", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}, "game"
    ),
    "keys": Parameter("The key's id: what stands between `lb_` and the next `_`.", TEXT, "4f1d2c"),
}
QUERY: dict[str, Parameter] = {
    "ack": Parameter(
        "What the answer stands for: `fsync` (on the disk of Redis), `replica` (a replica has it, too) or `audit` (the "
        "ledger has it). Absent: what the operator set.",
        _enum(*LEVELS),
        "audit",
    ),
    "actor": Parameter("Only what this key did.", _ID, "4f1d2c"),
    "after": Parameter("`next_after` of the answer before; absent: from the beginning.", TEXT, "1.42.7"),
    "around": Parameter("The user in the middle; `radius` says how many stand on each side.", _ID, "verstappen"),
    "as_of": Parameter("The board as it was at this moment, from the ledger.", MOMENT, "2021-07-19T00:00:00Z"),
    "atomic": Parameter("All grants count, or none. Their namespaces are of one `group`.", _FLAG, True),
    "backfill": Parameter("Takes a `granted_at` however old, behind closed windows, too. Needs `admin`.", _FLAG, True),
    "band": Parameter("Only the namespaces in this band.", TEXT, "A"),
    "bucket": Parameter("How long a bucket is; absent: a day.", _enum("hour", "day"), "day"),
    "by": Parameter(
        "Whether `since` and `until` are of `granted_at`, as when absent, or of the time of recording.",
        _enum("granted", "recorded"),
        "granted",
    ),
    "category": Parameter("The board of this category alone, where `category_boards` is on.", _LABEL, "red_bull"),
    "compare_to": Parameter("Adds the `rank_change` of each user since this moment.", MOMENT, "2021-07-18T00:00:00Z"),
    "confirm": Parameter("Repeats the name in the path, so that nothing is deleted by mistake.", TEXT, "f1-2021"),
    "cursor": _CURSOR,
    "dry_run": Parameter("Tells what would become of it, and writes nothing.", _FLAG, True),
    "exclusive": Parameter(
        "Which of `min_score` and `max_score` are not in the range themselves.",
        list_of(_enum("min", "max")),
        ["min"],
        is_list=True,
    ),
    "histogram": Parameter("Adds a histogram of so many bins.", _int(1, BINS_MAX), 10),
    "include": Parameter("More about each user.", list_of(_enum(*INCLUDES)), ["streak"], is_list=True),
    "interpolate": Parameter("Whether percentiles between two scores are interpolated.", _FLAG, True),
    "limit": _limit(ROWS_MAX, default=10),
    "max_score": Parameter("Only scores up to this one.", NUMBER, 400),
    "min_score": Parameter("Only scores from this one on.", NUMBER, 10),
    "n": Parameter("How many; absent: 1.", _int(1, RANDOM_MAX), 2),
    "offset": Parameter("How many rows to skip. `cursor` is exact while scores change.", _int(0, 999_999_999), 0),
    "percentiles": Parameter("Which percentiles; absent: 50, 90 and 99.", list_of(NUMBER), [25, 50, 75], is_list=True),
    "prefix": Parameter("Only namespaces whose names begin so.", TEXT, "f1-"),
    "q": Parameter(
        f"The beginning of an id or a display name, in upper or lower case: at least {Q_CHARS_MIN} characters.",
        {"type": "string", "minLength": Q_CHARS_MIN, "maxLength": NAME_CHARS_MAX},
        "ver",
    ),
    "radius": Parameter("Rows on each side of the user in `around`; absent: 5.", _int(0, RADIUS_MAX), 2),
    "rank": Parameter("Adds `rank` and `previous_rank` to receipts.", _FLAG, True),
    "ranking": Parameter(
        "Ranks of ties: `competition` 1-2-2-4, `dense` 1-2-2-3, `ordinal` 1-2-3-4. Absent: the namespace's.",
        _enum("competition", "dense", "ordinal"),
        "dense",
    ),
    "reason": Parameter("A remark that is kept with the change, up to 256 bytes.", TEXT, "wrong race"),
    "revision": Parameter("The revision that you saw; another one is refused.", _int(0, 999_999_999), 1),
    "session_id": Parameter("Only grants of this session.", _LABEL, "silverstone"),
    "since": Parameter("From this moment on.", MOMENT, "2021-07-18T00:00:00Z"),
    "source": Parameter("Only grants of this source, together with `source_id`.", _LABEL, "race"),
    "source_id": Parameter("Which one of that source.", _LABEL, "1061"),
    "state": Parameter(
        "`live`: grants that count; `quarantined`: those that wait for a decision.",
        _enum("live", "quarantined"),
        "quarantined",
    ),
    "stats": Parameter("Watches the statistics in place of rows.", _enum("true"), "true"),
    "type": Parameter(
        "Only events of these types.",
        list_of(_enum(*(str(kind.__struct_config__.tag) for kind in (*OF_LEDGER.values(), *OF_AUDIT.values())))),
        ["granted", "voided"],
    ),
    "until": Parameter("Up to this moment, without it.", MOMENT, "2021-07-19T00:00:00Z"),
    "user": Parameter(
        f"Only these users, up to {USERS_MAX}; `missing` names those who are not on the board.",
        {**list_of(_ID), "maxItems": USERS_MAX},
        ["verstappen", "hamilton"],
    ),
    "window": Parameter("A period or a window's own name; absent: `all`.", TEXT, "all"),
}
#: What a parameter is for one operation, where it is something else than for the others.
OF_OPERATION: dict[tuple[str, str], Parameter] = {
    ("listGrants", "limit"): _limit(GRANTS_MAX),
    ("listUserGrants", "limit"): _limit(HISTORY_MAX),
    ("explainScore", "limit"): _limit(HISTORY_MAX, default=HISTORY_MAX),
    ("searchUsers", "limit"): _limit(MATCHES_MAX, default=10),
    ("getTrends", "limit"): _limit(TRENDS_MAX),
    ("listEvents", "limit"): _limit(EVENTS_MAX),
    ("listUserStandings", "limit"): _limit(STANDINGS_MAX),
    ("listWebhookDeliveries", "limit"): _limit(DELIVERIES_MAX),
    ("listKeys", "limit"): _limit(KEYS_MAX),
    ("watchBoard", "limit"): _limit(TOP_MAX, default=10),
    ("watchBoard", "radius"): Parameter("Rows on each side; absent: 5.", _int(0, LIVE_RADIUS_MAX), 2),
    ("watchBoard", "user"): Parameter(
        f"Only these users, up to {LIVE_USERS_MAX}.", {**list_of(_ID), "maxItems": LIVE_USERS_MAX}, ["verstappen"]
    ),
    ("listUserStandings", "cursor"): Parameter("The namespace behind which the page begins.", TEXT, "f1-2020"),
    ("revokeKey", "confirm"): Parameter("Repeats the id of the key, where it is that of the request.", TEXT, "4f1d2c"),
    ("listWebhookDeliveries", "state"): Parameter("Only deliveries in this state.", _enum(*STATES), "failing"),
}
#: Parameters of a query that have to be there.
REQUIRED = {("searchUsers", "q"), ("deleteNamespace", "confirm")}
IF_NONE_MATCH = Parameter("The ETag of an earlier answer: 304 if it still holds.", TEXT, '"1-42-bW9uZGF5"')
IDEMPOTENCY_KEY = Parameter("A name for this call: sent again with it, it is done once.", _ID, "undo-7")
LAST_EVENT_ID = Parameter("The id of the last event that came: the stream goes on behind it.", TEXT, "1-42")
