"""Operations that read: by the name that generated clients call them by."""

from .operation import BOARD, BODY, COMMON, INSIDE, Operation

READ_OPERATIONS: dict[str, Operation] = {
    "getBoard": Operation(
        "Boards",
        "A board",
        "A page from the top, the users around one, or some users (`user` repeated). Ask with `If-None-Match` to get "
        "304 while nothing changes. With `Accept: text/csv` it answers a table.",
        (*BOARD, "user_not_found"),
    ),
    "getBoardStats": Operation(
        "Boards",
        "The statistics of a board",
        "Count, sum, mean, standard deviation, percentiles and bands of a board's scores, at one version of it. Bounds "
        "narrow them to a range of scores.",
        BOARD,
    ),
    "watchBoard": Operation(
        "Boards",
        "Watch a board",
        "The board, and then each change of it, as Server-Sent Events. The stream has no end. The events are described "
        "at /asyncapi.json.",
        BOARD,
    ),
    "compareNamespaces": Operation(
        "Boards",
        "Compare namespaces by their statistics",
        "The statistics of each namespace with a prefix, the highest mean first, with the percentile and the band of "
        "each mean among them.",
        COMMON,
    ),
    "getManyBoardStats": Operation(
        "Boards",
        "The statistics of many boards",
        "Up to 100 boards, in the order of the request. A board that cannot be read has an `error` in its place.",
        (*COMMON, *BODY),
    ),
    "countBoardUsers": Operation(
        "Boards", "Count users by score", "How many users have a score between two bounds.", BOARD
    ),
    "sampleBoard": Operation(
        "Boards",
        "Some users by chance",
        "So many rows of a board, in its order. Each choice of so many is equally likely.",
        BOARD,
    ),
    "getBoardRow": Operation(
        "Boards", "Who stands at a position", "The row at a position; 1 is the first.", (*BOARD, "user_not_found")
    ),
    "getScoreAtPercentile": Operation(
        "Boards",
        "The score at a percentile",
        "The worst score whose percentile is at least the one asked for, with its rank and position.",
        (*BOARD, "user_not_found"),
    ),
    "getRankOfScore": Operation(
        "Boards",
        "The rank of a score",
        "The rank that a score has, or would have, with the numbers of users with a better score and with this one.",
        BOARD,
    ),
    "getManyBoards": Operation(
        "Boards",
        "Pages of many boards",
        "Up to 100 boards, in the order of the request. A board that cannot be read has an `error` in its place.",
        (*COMMON, *BODY),
    ),
    "rankUsers": Operation(
        "Boards",
        "Many users on many boards",
        "Up to 500 users on the boards of up to 20 windows of a namespace.",
        (*BOARD, *BODY),
    ),
    "getTotals": Operation(
        "Users", "What many users have", "The scores, grants and sums by label of up to 500 users.", (*INSIDE, *BODY)
    ),
    "searchUsers": Operation(
        "Users",
        "Search users",
        "Users whose id or display name begins so. A key with `write` finds hidden users, too.",
        INSIDE,
    ),
    "getUserRanks": Operation(
        "Users",
        "What a user has, and where they stand",
        "The user's score, grants, sums by label, streak, and the rank on each current board. A key with `write` is "
        "also told the user's profile here and whether they are hidden.",
        (*INSIDE, "user_not_found"),
    ),
    "listUserStandings": Operation(
        "Users",
        "Where a user stands everywhere",
        "The same of every namespace in which the user has a grant and which the caller may read.",
        (*COMMON, "user_not_found"),
    ),
    "getUserProfile": Operation(
        "Users",
        "A user's profile",
        "Name, picture, time zone and opt-out, as they are in the whole deployment.",
        (*COMMON, "user_not_found"),
    ),
    "listGrants": Operation(
        "History",
        "Grants of a namespace",
        "Those in quarantine, those of one source, or those that count. With `Accept: text/csv` it answers a table.",
        INSIDE,
    ),
    "getGrant": Operation(
        "History",
        "One grant",
        "A grant as it is now, with each of its revisions. A grant that was just sent is waited for, up to 2 s.",
        (*INSIDE, "grant_not_found"),
    ),
    "listUserGrants": Operation(
        "History",
        "A user's grants",
        "The latest `granted_at` first. With `Accept: text/csv` it answers a table.",
        (*INSIDE, "user_not_found"),
    ),
    "explainScore": Operation(
        "History",
        "Why a score is what it is",
        "The grants that make a user's score in a window, and the score, both from the ledger.",
        (*BOARD, "user_not_found"),
    ),
    "getUserActivity": Operation(
        "History",
        "How much a user got",
        "How many grants of a user count between two moments, and their sum.",
        (*INSIDE, "user_not_found"),
    ),
    "getNamespaceActivity": Operation(
        "History", "How much all users got", "How many grants count between two moments, and their sum.", INSIDE
    ),
    "getManyUserActivity": Operation(
        "History",
        "How much many users got",
        "How many grants of each of up to 500 users count between two moments, and their sum.",
        (*INSIDE, *BODY),
    ),
    "getTrends": Operation(
        "History",
        "Hours or days, one by one",
        "Grants, their sum and mean, and how many users had one, for each hour or day that has any. `Lag-Seq` and "
        "`Link` are headers, because the body is a list.",
        INSIDE,
    ),
    "listEvents": Operation(
        "History",
        "What happened",
        "Events, the earliest first: grants, corrections, closed windows, changes of rules and users. Ask again with "
        "`after` to go on, at the end of the stream too.",
        INSIDE,
    ),
    "getNamespace": Operation(
        "Namespaces", "A namespace's rules", "Its rules, and when each of its boards begins again from zero.", INSIDE
    ),
    "listNamespaces": Operation(
        "Namespaces",
        "Namespaces that the caller may read",
        "Those that the key's scopes cover, and public ones; without a key the public ones alone.",
    ),
    "getHealth": Operation(
        "Health", "The process is up", "Asks no store. For the liveness probe.", ("method_not_allowed",)
    ),
    "getReadiness": Operation(
        "Health",
        "Writes are taken",
        "503 only where writes would be refused. `degraded` tells what else is amiss. For the readiness probe.",
        ("method_not_allowed",),
    ),
}
