-- depends: 0003.corrections

-- Closed windows: the place of the log entry that closed each, and when its boards left Redis for the archive.
CREATE TABLE seals (
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    archived_at timestamptz,
    PRIMARY KEY (namespace_id, "window")
);
CREATE INDEX seals_open ON seals (partition) WHERE archived_at IS NULL;

-- A closed window's boards. seq: the last entry that it counts; hash: SHA-256 over `<user number> <score>` lines by number,
-- scores in scaled units.
CREATE TABLE archives (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id integer NOT NULL,
    board text NOT NULL,
    "window" text NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    total integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL,
    hash bytea NOT NULL DEFAULT '',
    UNIQUE (namespace_id, board)
);

CREATE TABLE archive_revisions (
    archive_id integer NOT NULL REFERENCES archives,
    revision integer NOT NULL,
    seq bigint NOT NULL,
    total integer NOT NULL,
    hash bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (archive_id, revision)
);

-- key: the score, negated where the order is ascending, so that the better one is the greater; since: the seq that made it,
-- where the tie-break is `earliest`, else 0; better and levels: how many users, and how many scores, stand above.
CREATE TABLE archived (
    archive_id integer NOT NULL REFERENCES archives,
    position integer NOT NULL,
    user_number bigint NOT NULL,
    key bigint NOT NULL,
    since bigint NOT NULL,
    better integer NOT NULL,
    levels integer NOT NULL,
    PRIMARY KEY (archive_id, position)
);
CREATE UNIQUE INDEX archived_user ON archived (archive_id, user_number);
CREATE INDEX archived_key ON archived (archive_id, key);

-- Entries behind a seal whose windows' archives are to follow, written with the entries.
CREATE TABLE archive_todo (
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    user_number bigint NOT NULL,
    partition smallint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (namespace_id, "window", user_number, seq)
);
CREATE INDEX archive_todo_partition ON archive_todo (partition);

-- The grants of a stretch of time: small, and true as long as they come roughly in its order.
CREATE INDEX ledger_granted ON ledger USING brin (namespace_id, granted_at);
