"""Answers that are made of several types, by the names that they have in OpenAPI."""

from .schema import (
    BOOLEAN,
    INTEGER,
    MOMENT,
    NUMBER,
    TEXT,
    Schema,
    list_of,
    map_of,
    maybe,
    object_of,
    one_of,
    ref,
    said,
)

_MAYBE_TEXT, _MAYBE_NUMBER, _MAYBE_INTEGER = maybe(TEXT), maybe(NUMBER), maybe(INTEGER)
_MAYBE_MOMENT = maybe(MOMENT)
_CURSOR = said(_MAYBE_TEXT, "The `cursor` of the next page; null at the end.")
_LAG = said(INTEGER, "Entries that the ledger lacks yet; 0: the answer is complete.")

#: Where each answer about a board begins. Only a board of the past has no version.
_HEAD: dict[str, Schema] = {
    "namespace": TEXT,
    "window": said(TEXT, "The window's own name, such as `2025-W44`."),
    "starts": said(_MAYBE_MOMENT, "When the window begins; null for `all`."),
    "ends": said(_MAYBE_MOMENT, "When it ends; null for `all`."),
    "category": _MAYBE_TEXT,
    "epoch": said(INTEGER, "Rises when a loss was repaired."),
    "version": said(INTEGER, "Rises with each change of the namespace's scores."),
    "total": said(INTEGER, "Users on the board."),
}
_STREAK = object_of(
    "Days in a row with a grant.",
    {
        "current": said(INTEGER, "The run that ends today or yesterday."),
        "best": said(INTEGER, "The longest run."),
        "last_day": maybe({"type": "string", "format": "date"}),
    },
)
_NAMES: dict[str, Schema] = {"display_name": _MAYBE_TEXT, "avatar": _MAYBE_TEXT}
_ROW: dict[str, Schema] = {
    "position": said(INTEGER, "The place in the list: each once."),
    "rank": said(INTEGER, "By the namespace's `ranking`: equal scores may share it."),
    "user_id": TEXT,
    "score": NUMBER,
    **_NAMES,
}
_ENTRY = object_of(
    "A row of a board.",
    _ROW,
    optional={
        "streak": maybe(ref("Streak")),
        "updated_at": said(_MAYBE_MOMENT, "When the user's last change was recorded."),
        "rank_change": said(_MAYBE_INTEGER, "Ranks won since `compare_to`; null: was not on the board."),
    },
)
_BOARD = object_of(
    "A stretch of a board.",
    {
        **_HEAD,
        "epoch": said(_MAYBE_INTEGER, "Rises when a loss was repaired; null as of a moment of the past."),
        "version": said(_MAYBE_INTEGER, "Rises with each change of scores; null as of a moment of the past."),
        "next_cursor": _CURSOR,
        "entries": list_of(ref("BoardEntry")),
    },
    optional={
        "missing": said(list_of(TEXT), "Of the users asked for, those who are not on the board."),
        "count": said(INTEGER, "Users with a score between the bounds."),
        "as_of": said(MOMENT, "The moment that was asked for."),
        "compare_to": said(MOMENT, "The moment that ranks are compared with."),
        "lag_seq": _LAG,
    },
)
_FIGURES: dict[str, Schema] = {
    "count": INTEGER,
    **dict.fromkeys(("sum", "mean", "stddev", "min", "max"), _MAYBE_NUMBER),
    "percentiles": map_of(_MAYBE_NUMBER, "The score at each percentile, by percent."),
}
#: What a live view `stats` has.
STATISTICS: Schema = object_of("Statistics of a board.", _FIGURES)
_STATS_FIELDS: dict[str, Schema] = {
    **{name: _HEAD[name] for name in ("namespace", "window", "starts", "ends", "category", "epoch", "version")},
    **_FIGURES,
    "band": said(_MAYBE_TEXT, "The namespace's band among those compared; null for a single board."),
}
_BANDS = {"bands": said(list_of(ref("BandRange")), "The ranges that the rule `bands` names.")}
_TOTALS: dict[str, Schema] = {
    "user_id": TEXT,
    "score": NUMBER,
    "grants": said(INTEGER, "Grants that are not voided."),
    "categories": map_of(NUMBER, "The sum of amounts by category."),
    "sources": map_of(NUMBER, "The sum of amounts by source."),
    "last_granted_at": _MAYBE_MOMENT,
}
_USER_RANKS: dict[str, Schema] = {
    **_TOTALS,
    "ranks": map_of(maybe(ref("UserRank")), "By period or season; null: not on that board."),
    "streak": said(maybe(ref("Streak")), "Null where streaks are off."),
    **_NAMES,
}
_FOR_WRITERS: dict[str, Schema] = {
    "profile": said(ref("NamespaceProfileState"), "For keys with `write`."),
    "hidden": said(BOOLEAN, "Whether the user is off the boards here. For keys with `write`."),
}
_PROFILE: dict[str, Schema] = {"user_id": TEXT, **_NAMES}
_GRANT: dict[str, Schema] = {
    "grant_id": TEXT,
    "user_id": said(_MAYBE_TEXT, "Null where the user was erased."),
    "amount": NUMBER,
    **dict.fromkeys(("category", "source", "source_id", "action", "session_id"), _MAYBE_TEXT),
    **dict.fromkeys(("granted_at", "recorded_at"), MOMENT),
    **dict.fromkeys(("voided", "quarantined", "opening"), BOOLEAN),
    "revision": said(INTEGER, "1 is the grant itself; each correction adds one."),
    **dict.fromkeys(("epoch", "seq"), INTEGER),
    "meta": maybe(ref("Meta")),
}
_GRANTS = {"grants": list_of(ref("RecordedGrant")), "next_cursor": _CURSOR, "lag_seq": _LAG}
_COUNTS: dict[str, Schema] = {"count": INTEGER, "sum": NUMBER}
_RANGE: dict[str, Schema] = {
    "namespace": TEXT,
    **dict.fromkeys(("since", "until"), _MAYBE_MOMENT),
    "by": {"type": "string", "enum": ["granted", "recorded"]},
}
_REJECTED: dict[str, Schema] = {
    "status": {"type": "string", "enum": ["rejected"]},
    "grant_id": said(_MAYBE_TEXT, "Null where it could not be read."),
    "error": ref("MemberProblem"),
}
_RESULTS = said(list_of(ref("BatchResult")), "One for each member, in their order.")
_CORRECTION_RESULTS = said(list_of(ref("CorrectionResult")), "One for each, in their order.")
_MEMBER_COUNTS: dict[str, Schema] = dict.fromkeys(("applied", "duplicate", "rejected"), INTEGER)
_QUARANTINED = {"quarantined": said(INTEGER, "Absent where it is 0.")}
ANSWERS: dict[str, Schema] = {
    "Meta": {"type": "object", "description": "What the client wants to keep with a grant, up to 2 KiB."}
    | {"additionalProperties": True},
    "Streak": _STREAK,
    "BoardEntry": _ENTRY,
    "Board": _BOARD,
    "BoardSample": object_of(
        "Rows of a board, by chance.",
        {**_HEAD, "entries": list_of(ref("BoardEntry"))},
    ),
    "BoardCount": object_of("How many users have a score between bounds.", {**_HEAD, "count": INTEGER}),
    "BoardRow": object_of("The row at a position.", {**_HEAD, **_ROW}),
    "PercentileScore": object_of(
        "The score at a percentile.", {**_HEAD, **{name: _ROW[name] for name in ("position", "rank", "score")}}
    ),
    "ScoreRank": object_of(
        "The rank that a score has, or would have.",
        {
            **_HEAD,
            "score": NUMBER,
            "rank": INTEGER,
            "better": said(INTEGER, "Users with a better score."),
            "equal": said(INTEGER, "Users with this score."),
            "percentile": said(_MAYBE_NUMBER, "Null on an empty board."),
        },
    ),
    "BandRange": object_of(
        "A band of a board.", {"name": TEXT, "count": INTEGER, "min": _MAYBE_NUMBER, "max": _MAYBE_NUMBER}
    ),
    "HistogramBin": object_of(
        "Scores from `from`, to before `to`.", {"from": _MAYBE_NUMBER, "to": _MAYBE_NUMBER, "count": INTEGER}
    ),
    "BoardStats": object_of(
        "The statistics of a board.",
        {**_STATS_FIELDS, **_BANDS},
        optional={"histogram": list_of(ref("HistogramBin"))},
    ),
    "RankedStats": object_of(
        "The statistics of a namespace among others.",
        {**_STATS_FIELDS, "percentile": said(_MAYBE_NUMBER, "The part of them whose mean is no higher, in percent.")},
    ),
    "RankedStatsList": object_of("Statistics of namespaces.", {"namespaces": list_of(ref("RankedStats"))}),
    "BoardError": object_of(
        "Why one of many boards could not be read.",
        {"namespace": TEXT, "window": TEXT, "category": _MAYBE_TEXT, "error": ref("MemberProblem")},
    ),
    "BoardList": object_of("Boards, in the order of the request.", {"boards": list_of(ref("BoardResult"))}),
    "BoardStatsList": object_of(
        "Statistics, in the order of the request.", {"boards": list_of(ref("BoardStatsResult"))}
    ),
    "UserBoards": object_of("Users on boards.", {"namespace": TEXT, "boards": list_of(ref("Board"))}),
    "UserRank": object_of(
        "Where a user stands.",
        {
            "rank": INTEGER,
            "score": NUMBER,
            "percentile": said(NUMBER, "The part of the board whose score is no better, in percent."),
            "band": _MAYBE_TEXT,
            "gap_to_next": said(_MAYBE_NUMBER, "Points to the next better score; null at the top."),
        },
    ),
    "UserRanks": object_of("What a user has, and where they stand.", _USER_RANKS, optional=_FOR_WRITERS),
    "Standing": object_of(
        "The same, of one namespace of many.", {"namespace": TEXT, **_USER_RANKS}, optional=_FOR_WRITERS
    ),
    "StandingList": object_of(
        "Where a user stands everywhere.",
        {"user_id": TEXT, "standings": list_of(ref("Standing")), "next_cursor": _CURSOR},
    ),
    "UserTotals": object_of("What a user has.", _TOTALS),
    "TotalsList": object_of(
        "What users have.",
        {
            "namespace": TEXT,
            "totals": list_of(ref("UserTotals")),
            "missing": said(list_of(TEXT), "Users without a grant here."),
        },
    ),
    "UserMatch": object_of("A user whose id or name begins so.", _PROFILE, optional={"hidden": _FOR_WRITERS["hidden"]}),
    "UserMatchList": object_of("Users.", {"users": list_of(ref("UserMatch")), "next_cursor": _CURSOR}),
    "NamespaceProfileState": object_of("What boards of a namespace show.", {**_NAMES, "opt_out": BOOLEAN}),
    "UserNamespaceProfile": object_of("The same, with its user.", {**_PROFILE, "opt_out": BOOLEAN}),
    "UserProfile": object_of("A user's profile.", {**_PROFILE, "timezone": _MAYBE_TEXT, "opt_out": BOOLEAN}),
    "UserVisibility": object_of(
        "Whether a user is on boards.",
        {
            "user_id": TEXT,
            "hidden": said(BOOLEAN, "Hidden by an admin."),
            "opt_out": said(BOOLEAN, "Taken off by themselves."),
            "pending": said(INTEGER, "Partitions in which it is not in effect yet."),
        },
    ),
    "Erasure": object_of(
        "An erasure that goes on.", {"user_id": TEXT, "status": {"type": "string", "enum": ["erasing"]}}
    ),
    "RecordedGrant": object_of("A grant as it is now.", _GRANT),
    "GrantRevision": object_of(
        "A grant after one change.",
        {
            **_GRANT,
            "verb": said(TEXT, "What was done: `grant`, `edit`, `void`, `restore` …"),
            "reason": _MAYBE_TEXT,
            "actor": said(_MAYBE_TEXT, "The key that did it."),
        },
    ),
    "GrantHistory": object_of(
        "A grant with its revisions, the first one first.", {**_GRANT, "revisions": list_of(ref("GrantRevision"))}
    ),
    "GrantList": object_of("Grants.", _GRANTS),
    "Explanation": object_of(
        "The grants that make a score.",
        {"namespace": TEXT, "user_id": TEXT, "window": TEXT, "score": _MAYBE_NUMBER, **_GRANTS},
        optional={"lost": said(NUMBER, "The part of the score whose entries the ledger has lost.")},
    ),
    "BatchResult": one_of("RejectedMember", "Receipt"),
    "CorrectionResult": one_of("RejectedMember", "CorrectionReceipt"),
    "PreviewResult": one_of("RejectedMember", "MemberPreview"),
    "BoardResult": one_of("BoardError", "Board"),
    "BoardStatsResult": one_of("BoardError", "BoardStats"),
    "GrantAnswer": one_of("Receipt", "Batch", "BatchPreview"),
    "CorrectionAnswer": one_of("CorrectionReceipt", "CorrectionPreview"),
    "RejectedMember": object_of("A member of a batch that was refused.", _REJECTED),
    "Batch": object_of("What became of a batch.", {**_MEMBER_COUNTS, "results": _RESULTS}, optional=_QUARANTINED),
    "CorrectionBatch": object_of(
        "What became of corrections.", {**_MEMBER_COUNTS, "results": _CORRECTION_RESULTS}, optional=_QUARANTINED
    ),
    "MemberPreview": object_of(
        "What would become of a grant.",
        {"status": {"type": "string", "enum": ["would_apply", "duplicate", "quarantined"]}, "grant_id": TEXT},
    ),
    "BatchPreview": object_of(
        "What would become of a batch.",
        {
            **dict.fromkeys(("would_apply", "duplicate", "rejected"), INTEGER),
            "results": list_of(ref("PreviewResult")),
        },
    ),
    "RankMove": object_of(
        "The user's score and rank on a board, before and after; null: not on it.",
        {
            "window": TEXT,
            "category": _MAYBE_TEXT,
            "user_id": TEXT,
            **dict.fromkeys(("previous_score", "score"), _MAYBE_NUMBER),
            **dict.fromkeys(("previous_rank", "rank"), _MAYBE_INTEGER),
        },
    ),
    "CorrectionPreview": object_of(
        "What a correction would change.",
        {
            "status": {"type": "string", "enum": ["dry_run"]},
            "grant_id": TEXT,
            "revision": INTEGER,
            "moves": list_of(ref("RankMove")),
        },
    ),
    "EventList": object_of(
        "Events, the earliest first.",
        {
            "events": list_of(ref("Event")),
            "next_after": said(TEXT, "Works as `after`, at the end of the stream too."),
            "lag_seq": said(INTEGER, "Entries of the partition that are not in the ledger yet."),
        },
    ),
    "Activity": object_of("How many grants, and how much.", {**_RANGE, **_COUNTS, "lag_seq": _LAG}),
    "UserActivity": object_of(
        "How many grants of a user, and how much.", {**_RANGE, "user_id": TEXT, **_COUNTS, "lag_seq": _LAG}
    ),
    "UserCount": object_of("One of many users.", {"user_id": TEXT, **_COUNTS}),
    "UserActivityList": object_of(
        "The same of many users.",
        {
            **_RANGE,
            "users": list_of(ref("UserCount")),
            "missing": said(list_of(TEXT), "Users without a grant here."),
            "lag_seq": _LAG,
        },
    ),
    "TrendBucket": object_of(
        "An hour or a day.",
        {
            "at": said(MOMENT, "When it begins."),
            "grants": INTEGER,
            "sum": NUMBER,
            "users": INTEGER,
            "mean": NUMBER,
            "board_mean": said(_MAYBE_NUMBER, "The mean of the board's scores at its end, where it is known."),
        },
    ),
    "NamespaceList": object_of("Namespaces.", {"namespaces": list_of(ref("Namespace"))}),
}
