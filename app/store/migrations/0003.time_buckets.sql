-- depends: 0002.ledger_by_partition

-- All of these follow the ledger up to partitions.counted_seq, but for board_sums, which are written with its rows.

-- A user's live grants: level 0 by days of the namespace's zone, 1 by hours counted from the beginning of each day; in hours
-- with `is_subdivided` also 2 by minutes and 3 by hundredths of a second. `grants` and `amount` are by granted time,
-- `recorded` and `recorded_amount` by the time at which the grant was recorded, all as last revisions left them.
-- last_delta: what was added to `grants` last; it tells who has just come and who has gone.
CREATE TABLE user_buckets (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    grants bigint NOT NULL,
    amount numeric NOT NULL,
    recorded bigint NOT NULL,
    recorded_amount numeric NOT NULL,
    last_delta bigint NOT NULL,
    is_subdivided boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_number, namespace_id, level, at)
) WITH (fillfactor = 85);

-- The same of all users of a namespace, by days, hours and minutes. users: how many have a live grant there, by granted
-- time; of days and hours.
CREATE TABLE namespace_buckets (
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    grants bigint NOT NULL,
    amount numeric NOT NULL,
    recorded bigint NOT NULL,
    recorded_amount numeric NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (namespace_id, level, at)
) WITH (fillfactor = 50);

-- What all scores of a namespace's `all` board come to, and of how many users, behind the last entry of a bucket by the time
-- of recording. A bucket without entries has no row: the one before it still holds.
CREATE TABLE board_sums (
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    score numeric NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (namespace_id, level, at)
) WITH (fillfactor = 50);

-- The local days of zones, as app/model/local_days.py has them: starts ≤ t < ends. day_offset: how long after midnight, by
-- the clock, a namespace lets its days begin. The persister writes them before it counts what lies in them. Postgres reads
-- some names (CET, MET, EET, WET) as abbreviations of a fixed offset, so it is not asked.
CREATE TABLE zone_days (
    zone text NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    day_offset interval NOT NULL,
    PRIMARY KEY (zone, day_offset, starts)
);

-- The grants that count, as the last revision left each, in the order in which a page of them is read. first_seq: the seq of
-- the entry that granted it; epoch and seq: the place of its last revision.
-- "window" and sort_key: 'all' and 0 where the aggregation is `sum` or `latest`. Where it is `best`: one row a window of the
-- grant, and the amount, negated where the lowest is the best, so that the best of a window is the last of its rows.
CREATE TABLE live_grants (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    sort_key bigint NOT NULL,
    granted_at timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (user_number, namespace_id, "window", sort_key, granted_at, first_seq)
);
