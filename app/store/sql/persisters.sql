-- name: register_persister
-- Gives a number to a persister that starts.
INSERT INTO persisters DEFAULT VALUES RETURNING number;

-- name: register_rebuild
-- Gives a number to a rebuild, so that it can hold a partition as a persister does.
INSERT INTO persisters (is_rebuild) VALUES (true) RETURNING number;

-- name: record_heartbeat
-- A persister says that it is alive. No row where it was forgotten.
UPDATE persisters SET heartbeat_at = clock_timestamp() WHERE number = $1 RETURNING number;

-- fragment: presence_locks
-- The advisory locks of a class by which sessions of persisters tell that they are connected. objid: the persister's number.
FROM pg_locks WHERE locktype = 'advisory' AND classid = {{class}} AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: get_persisters
-- Persisters that are connected, rebuilds left out, each with whether it was heard of in the last $2 seconds. $1: the class of the advisory locks by
-- which a session tells that it is there.
SELECT number, heartbeat_at > clock_timestamp() - make_interval(secs => $2) AS is_live FROM persisters
WHERE NOT is_rebuild AND number IN (
    SELECT objid::int
    -- include: presence_locks (class = $1)
);

-- name: terminate_persister
-- Ends the sessions of a persister that hangs: their locks and half-done transactions go.
SELECT pg_terminate_backend(pid)
-- include: presence_locks (class = $1)
AND objid = $2::int::oid;

-- name: delete_stale_persisters
-- Those that were last heard of long ago. O(them).
DELETE FROM persisters WHERE heartbeat_at < clock_timestamp() - interval '1 day';

-- name: create_leases
-- One lease for each partition.
INSERT INTO leases (partition) SELECT partition FROM partitions ON CONFLICT DO NOTHING;

-- name: get_leases
-- The partitions that a persister holds.
SELECT partition FROM leases WHERE holder = $1;

-- name: take_leases
-- At most $3 of some partitions that no other live persister (as `get_persisters` tells it: $4, $5) holds. One that is just being
-- written waits for another time.
WITH free AS (
    SELECT partition FROM leases
    WHERE partition = ANY($2::smallint[]) AND (holder IS NULL OR holder = $1 OR holder <> ALL(ARRAY(
        SELECT number FROM persisters WHERE heartbeat_at > clock_timestamp() - make_interval(secs => $5) AND number IN (
            SELECT objid::int
            -- include: presence_locks (class = $4)
            ))))
    ORDER BY partition LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE leases l SET holder = $1, taken_at = clock_timestamp() FROM free WHERE l.partition = free.partition
RETURNING l.partition;

-- name: release_leases
-- Those that are just being written are released another time.
WITH own AS (
    SELECT partition FROM leases WHERE holder = $1 AND partition = ANY($2::smallint[]) FOR UPDATE SKIP LOCKED)
UPDATE leases l SET holder = NULL FROM own WHERE l.partition = own.partition RETURNING l.partition;

-- name: lock_lease
-- Locks the lease of a partition ($1) until the commit, if it belongs to the persister ($2). A transaction that needs
-- the lease ends with this statement, so that no other persister takes the partition before the commit.
SELECT FROM leases WHERE partition = $1 AND holder = $2 FOR SHARE;

-- name: lock_presence
-- Marks this session, as long as it lasts, as one of a persister ($2) by an advisory lock of a class ($1).
SELECT pg_advisory_lock_shared($1, $2);

-- name: put_fault
-- Records what a persister ($5) finds wrong in a partition, or its newest cause.
INSERT INTO faults (partition, kind, name, cause, persister) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (partition, kind, name, persister) DO UPDATE SET cause = excluded.cause;

-- name: delete_fault
-- A fault is over for a persister ($4).
DELETE FROM faults WHERE partition = $1 AND kind = $2 AND name = $3 AND persister = $4;

-- name: delete_faults
-- All faults of a partition are over.
DELETE FROM faults WHERE partition = $1;

-- name: delete_faults_of_absent
-- Deletes the faults of a partition that were reported by persisters that are not connected, or by one of them ($3). $2: the
-- class of the advisory locks by which a session tells that it is there.
DELETE FROM faults WHERE partition = $1 AND (persister = $3::int OR persister NOT IN (
    SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())));

-- name: get_faults
-- What fails, the ledger's first: at most $1 lines. A fault that several persisters report is one line.
SELECT partition, kind, name, min(cause) AS cause FROM faults
GROUP BY partition, kind, name ORDER BY kind <> 'ledger', partition, kind, name LIMIT $1;

-- name: get_blockers
-- The sessions that have what a session ($1) waits for: what that is, whose they are, how long they have been at it, and
-- their last statement.
SELECT (SELECT coalesce('the table ' || relation::regclass, 'the lock of migrations') FROM pg_locks
        WHERE pid = $1 AND NOT granted LIMIT 1) AS object,
       pid, application_name, state, extract(epoch FROM clock_timestamp() - coalesce(xact_start, state_change))::int AS seconds,
       left(query, 200) AS query
FROM pg_stat_activity WHERE pid = ANY(pg_blocking_pids($1)) ORDER BY pid;
