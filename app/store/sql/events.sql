-- name: lock_events
-- Until the end of the transaction nobody else writes an event of a type that webhooks are told of; $1 is the lock's number. It
-- comes before any lock of a namespace.
SELECT pg_advisory_xact_lock($1);

-- name: count_scanned_entries
-- How many entries of an actor or a session lie behind a seq, at most so many, and the last of those. O(those).
SELECT count(*) AS entries, max(seq) AS seq FROM (
    (SELECT seq FROM ledger
     WHERE partition = partition_of($1) AND namespace_id = $1 AND actor = $3 AND seq > $2 AND $4::text IS NULL ORDER BY seq LIMIT $5)
    UNION ALL
    (SELECT seq FROM ledger
     WHERE partition = partition_of($1) AND namespace_id = $1 AND session_id = $4 AND seq > $2 ORDER BY seq LIMIT $5)) AS looked;

-- fragment: event_columns
-- What an event says of a row `l` of the ledger.
coalesce(l.verb, l.kind) AS kind, l.epoch, l.seq, l.recorded_at, u.name AS user,
       l.grant_id, l.revision, coalesce(l.amount, l.entry_amount) AS amount, l.score_delta, l.score, l.category, l.source,
       l.source_id, l.action, l.session_id, l.granted_at, l.opening, l.actor, l.reason, b.amount AS previous_amount,
       s.entry AS claimed

-- fragment: event_tables
-- What the columns of an event are read from, beside the row `l`.
LEFT JOIN users u ON u.number = l.user_number
-- include: replaced_by_row (partition = {{partition}})
LEFT JOIN dead_letters s ON l.kind = 'duplicate' AND s.partition = l.partition AND s.epoch = l.epoch AND s.seq = l.seq

-- name: get_ledger_events
-- A namespace's entries of some kinds after a seq, oldest first, with what a correction matches. Each branch has its index
-- and runs only where its filter is asked for: O(kinds × (log n + limit)), or by actor or session O(theirs between the seqs).
WITH picked AS (
    (SELECT matches.* FROM unnest($3::text[]) AS kinds (kind) CROSS JOIN LATERAL (
        SELECT l.epoch, l.seq FROM ledger l
        WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND coalesce(l.verb, l.kind) = kinds.kind
          AND l.seq > $2 AND l.seq <= $7 ORDER BY l.seq LIMIT $6) AS matches
     WHERE $4::text IS NULL AND $5::text IS NULL)
    UNION ALL
    (SELECT l.epoch, l.seq FROM ledger l
     WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.actor = $4 AND l.seq > $2 AND l.seq <= $7
       AND $5::text IS NULL AND coalesce(l.verb, l.kind) = ANY($3) ORDER BY l.seq LIMIT $6)
    UNION ALL
    (SELECT l.epoch, l.seq FROM ledger l
     WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.session_id = $5 AND l.seq > $2 AND l.seq <= $7
       AND ($4::text IS NULL OR l.actor = $4) AND coalesce(l.verb, l.kind) = ANY($3) ORDER BY l.seq LIMIT $6))
SELECT
-- include: event_columns
FROM (SELECT * FROM picked ORDER BY seq LIMIT $6) AS p
JOIN ledger l ON l.partition = partition_of($1) AND l.epoch = p.epoch AND l.seq = p.seq
-- include: event_tables (partition = partition_of($1))
ORDER BY l.seq;

-- name: get_audit_events
-- A namespace's events that no ledger holds, after an id, oldest first. O(types × (log n + limit)).
WITH picked AS (
    (SELECT matches.id FROM unnest($3::text[]) AS types (type) CROSS JOIN LATERAL (
        SELECT id FROM audit WHERE namespace_id = $1 AND type = types.type AND id > $2 ORDER BY id LIMIT $5) AS matches
     WHERE $4::text IS NULL)
    UNION ALL
    (SELECT matches.id FROM unnest($3::text[]) AS types (type) CROSS JOIN LATERAL (
        SELECT id FROM audit WHERE namespace_id = $1 AND actor = $4 AND type = types.type AND id > $2
        ORDER BY id LIMIT $5) AS matches))
SELECT a.id, a.type, a.actor, a.at, a.body::text, u.name AS user
FROM (SELECT id FROM picked ORDER BY id LIMIT $5) AS p
CROSS JOIN LATERAL (SELECT * FROM audit WHERE namespace_id = $1 AND id = p.id LIMIT 1) AS a
LEFT JOIN users u ON u.number = (a.body ->> 'user_number')::bigint
ORDER BY a.id;
