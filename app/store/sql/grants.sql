-- name: find_recorded_grants
-- What the ledger knows of grants that the seen generations may have forgotten. O(log n) each: LIMIT keeps each look-up one
-- of the whole key.
SELECT l.grant_id, l.epoch, l.seq, l.digest
FROM (SELECT DISTINCT unnest($2::text[]) AS grant_id) AS x
CROSS JOIN LATERAL (
    SELECT grant_id, epoch, seq, digest FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND grant_id = x.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS l;

-- name: find_recorded_entries
-- Which of some entries the ledger has, in some partitions ($5). O(log n) each.
SELECT namespace_id, kind, grant_id, revision FROM ledger
WHERE partition = ANY($5::smallint[]) AND (namespace_id, kind, grant_id, revision) IN (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[]));

-- fragment: grant_columns
-- What lists of grants `l` of users `u` tell, with their meta `m`.
SELECT l.grant_id, u.name AS user, l.revision, l.amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.recorded_at, l.voided, l.verb, l.opening, l.epoch, l.seq, m.meta::text AS meta

-- fragment: meta_of_grant
-- The meta `m` of a row `l` that may be a correction. It stands with the grant itself (`f`), of the
-- same partition. LIMIT keeps each look-up one of the whole key, whatever the planner knows of the tables by then.
-- include: grant_itself (row = l, partition = {{partition}})
LEFT JOIN LATERAL (
    SELECT meta FROM grant_meta
    WHERE partition = l.partition AND epoch = coalesce(f.epoch, l.epoch) AND seq = coalesce(f.seq, l.seq) LIMIT 1) AS m ON true

-- name: get_grant_history
-- A user's grants as their last revisions left them, newest first, after a keyset cursor (granted_at, seq).
-- O(log n + limit + corrections).
-- include: grant_columns
FROM (
    SELECT * FROM grant_revisions g
    WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)
      AND granted_at >= $3 AND (granted_at, seq) < ($4, $5::bigint)
      AND NOT EXISTS (
          -- include: later_corrections (row = g, partition = partition_of($1))
          OFFSET 0)
    ORDER BY granted_at DESC, seq DESC LIMIT $6) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant (partition = partition_of($1))
ORDER BY l.granted_at DESC, l.seq DESC;

-- fragment: grants_in_quarantine
-- The grants of some rows `q` of quarantine, in their order.
CROSS JOIN LATERAL (
    SELECT * FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND grant_id = q.grant_id AND revision = 1 AND kind = 'grant'
    LIMIT 1) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant (partition = partition_of($1))
ORDER BY q.seq

-- name: get_quarantined_grants
-- Grants in quarantine about which nothing was decided, oldest first, behind a seq. O(log n + limit).
-- include: grant_columns
FROM (SELECT seq, grant_id FROM quarantined_grants WHERE namespace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) AS q
-- include: grants_in_quarantine
;

-- name: get_quarantined_grants_of_source
-- Of these, those of one source ($4, $5).
-- include: grant_columns
FROM (SELECT seq, grant_id FROM quarantined_grants WHERE namespace_id = $1 AND source = $4 AND source_id = $5 AND seq > $2
      ORDER BY seq LIMIT $3) AS q
-- include: grants_in_quarantine
;

-- name: get_grants_of_source
-- The grants of one source ($4, $5) as their last revisions left them, in the order of these, behind a seq.
-- O(log n + limit + corrections).
-- include: grant_columns
FROM (
    SELECT * FROM grant_revisions g
    WHERE partition = partition_of($1) AND namespace_id = $1 AND source = $4 AND source_id = $5 AND source_id IS NOT NULL
      AND seq > $2
      AND NOT EXISTS (
          -- include: later_corrections (row = g, partition = partition_of($1))
          OFFSET 0)
    ORDER BY seq LIMIT $3) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant (partition = partition_of($1))
ORDER BY l.seq;

-- name: get_live_grants_in_turn
-- Grants that count, granted in [$2, $3), of one source ($8, $9; null: of any): user by user, each one's newest first, behind
-- a keyset cursor (user_number $4, granted_at $5, seq $6). A row for each revision in that time that was looked at, at most
-- $7; is_listed: whether it is such a grant. A user without any is one row of nulls. Each user is found by the one before,
-- so that grants outside of the time cost nothing. O(log n) a row. The rows are in the order of the walk: sorting them
-- would walk to its end.
WITH RECURSIVE users_in_turn AS (
    SELECT namespace_id, user_number FROM (
        SELECT namespace_id, user_number FROM ledger
        WHERE partition = partition_of($1) AND (namespace_id, user_number) >= ($1, $4)
        ORDER BY namespace_id, user_number LIMIT 1) AS n WHERE namespace_id = $1
    UNION ALL
    SELECT n.namespace_id, n.user_number FROM users_in_turn t
    CROSS JOIN LATERAL (
        SELECT namespace_id, user_number FROM ledger
        WHERE partition = partition_of($1) AND (namespace_id, user_number) > (t.namespace_id, t.user_number)
        ORDER BY namespace_id, user_number LIMIT 1) AS n WHERE n.namespace_id = $1)
-- include: grant_columns
    , l.walked_user, l.is_listed
FROM (
    SELECT t.user_number AS walked_user, r.* FROM users_in_turn t
    LEFT JOIN LATERAL (
        SELECT g.*, NOT g.voided AND ($8::text IS NULL OR g.source = $8) AND ($9::text IS NULL OR g.source_id = $9)
            AND NOT EXISTS (
                -- include: later_corrections (row = g, partition = partition_of($1))
                OFFSET 0) AS is_listed
        FROM grant_revisions g
        WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = t.user_number AND granted_at >= $2
          AND (granted_at, seq) < (CASE WHEN t.user_number = $4 THEN least($3, $5::timestamptz) ELSE $3::timestamptz END,
                                   CASE WHEN t.user_number = $4 AND $5 < $3 THEN $6::bigint ELSE 0 END)
        ORDER BY granted_at DESC, seq DESC LIMIT $7) AS r ON true
    LIMIT $7) AS l
LEFT JOIN LATERAL (SELECT name FROM users WHERE number = l.walked_user AND l.is_listed LIMIT 1) AS u ON true
-- include: meta_of_grant (partition = partition_of($1))
;

-- fragment: live_grant_columns
-- The same of live grants `g` and their rows `l`; granted_at and seq are those of the grant's first entry.
SELECT l.grant_id, $2 AS user, l.revision, l.amount, l.category, l.source, l.source_id, l.action, l.session_id,
       g.granted_at, l.recorded_at, l.voided, l.verb, l.opening, l.epoch, g.first_seq AS seq, m.meta::text AS meta
FROM live_grants g
CROSS JOIN LATERAL (
    SELECT * FROM ledger WHERE partition = $3 AND epoch = g.epoch AND seq = g.seq OFFSET 0) AS l
-- include: meta_of_grant (partition = $3)

-- name: get_live_grants
-- A user's live grants in one window, newest first, behind a keyset cursor (granted_at, the grant's seq): where the
-- aggregation is `sum` or `latest`. The moments bound the window. O(log n + limit).
-- include: live_grant_columns
WHERE g.user_number = (SELECT number FROM users WHERE name = $2) AND g.namespace_id = $1 AND g."window" = 'all' AND g.sort_key = 0
  AND g.granted_at >= $5 AND (g.granted_at, g.first_seq) < ($6, $7::bigint) AND l.windows @> ARRAY[$4::text]
ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT $8;

-- name: get_best_grants
-- The same where the aggregation is `best`: the live grants that equal the best one of the window, and that one's key.
WITH best AS MATERIALIZED (
    SELECT user_number, sort_key FROM live_grants
    WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND "window" = $4
    ORDER BY sort_key DESC LIMIT 1)
-- include: live_grant_columns
WHERE g.user_number = (SELECT user_number FROM best) AND g.namespace_id = $1 AND g."window" = $4
  AND g.sort_key = (SELECT sort_key FROM best) AND (g.granted_at, g.first_seq) < ($5, $6::bigint)
ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT $7;

-- name: get_revisions
-- A grant and its corrections, in order.
SELECT l.grant_id, u.name AS user, l.revision, l.amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.recorded_at, l.voided, l.opening, l.epoch, l.seq, l.verb, l.reason, l.actor,
       m.meta::text AS meta,
       -- include: has_open_letter (row = l)
FROM grant_revisions l
JOIN users u ON u.number = l.user_number
LEFT JOIN grant_meta m ON m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq
WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.grant_id = $2
ORDER BY l.revision;

-- name: get_grants
-- Grants as their last revisions left them; `first_seq` is the seq of the grant itself.
SELECT DISTINCT ON (l.grant_id) l.grant_id, u.name AS user, l.revision, l.amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.windows, l.voided, l.verb, l.day, l.opening, f.first_seq,
       -- include: has_open_letter (row = l)
FROM grant_revisions l
JOIN users u ON u.number = l.user_number
-- include: grant_of_correction (row = l, partition = partition_of($1))
WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.grant_id = ANY($2::text[])
ORDER BY l.grant_id, l.revision DESC;

-- name: find_by_idempotency_key
-- What corrections with these Idempotency-Keys did. O(log n) each.
SELECT l.idempotency_key, l.grant_id, l.revision, l.request_digest
FROM (SELECT DISTINCT unnest($2::text[]) AS key) AS x
CROSS JOIN LATERAL (
    SELECT idempotency_key, grant_id, revision, request_digest, seq FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND idempotency_key = x.key AND kind = 'correction' OFFSET 0) AS l
ORDER BY l.seq;
