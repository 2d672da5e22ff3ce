-- depends: 0003.time_buckets

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
-- scores in scaled units; sort_keys_sum and squares_sum: what the rows' keys and their squares add up to, hidden users
-- included: a read subtracts those.
CREATE TABLE archived_boards (
    id integer GENERATED ALWAYS AS IDENTITY,
    namespace_id integer NOT NULL,
    board text NOT NULL,
    "window" text NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    board_size integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL,
    hash bytea NOT NULL DEFAULT '',
    sort_keys_sum numeric NOT NULL DEFAULT 0,
    squares_sum numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (id, namespace_id),
    UNIQUE (namespace_id, board)
);

-- Here and below, namespace_id is that of the archive's board.
CREATE TABLE archive_revisions (
    namespace_id integer NOT NULL,
    archive_id integer NOT NULL,
    revision integer NOT NULL,
    seq bigint NOT NULL,
    board_size integer NOT NULL,
    hash bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (archive_id, revision, namespace_id),
    FOREIGN KEY (archive_id, namespace_id) REFERENCES archived_boards
);

-- sort_key: the score, negated where the order is ascending, so that the better one is the greater. tie_place: the place
-- among equals, where the tie-break is by moments, else 0; more than a bigint holds. better_users and better_scores: how many
-- users, and how many scores, stand above.
CREATE TABLE archive_rows (
    archive_id integer NOT NULL,
    position integer NOT NULL,
    user_number bigint NOT NULL,
    sort_key bigint NOT NULL,
    tie_place numeric NOT NULL,
    better_users integer NOT NULL,
    better_scores integer NOT NULL,
    namespace_id integer NOT NULL,
    PRIMARY KEY (archive_id, position, namespace_id),
    FOREIGN KEY (archive_id, namespace_id) REFERENCES archived_boards
);
CREATE UNIQUE INDEX archive_rows_user ON archive_rows (archive_id, user_number, namespace_id);
CREATE INDEX archive_rows_sort_key ON archive_rows (archive_id, sort_key);

-- Entries behind a seal whose windows' archives do not hold them yet, written with the entries.
CREATE TABLE pending_archive_updates (
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    user_number bigint NOT NULL,
    partition smallint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (namespace_id, "window", user_number, seq)
);
CREATE INDEX pending_archive_updates_partition ON pending_archive_updates (partition);

-- The users of an archive that are not shown: those of `hidden_users` that it has rows of, written with either. A board
-- knows its few.
CREATE TABLE hidden_archive_users (
    namespace_id integer NOT NULL,
    archive_id integer NOT NULL,
    user_number bigint NOT NULL,
    PRIMARY KEY (archive_id, user_number, namespace_id)
);
CREATE INDEX hidden_archive_users_user ON hidden_archive_users (user_number);
