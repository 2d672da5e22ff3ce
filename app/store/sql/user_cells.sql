-- name: get_grant_groups
-- What the ledger says of some users of a namespace, each up to a seq: the user's changes, and their grants as the last
-- revisions left them, in groups that are alike in all but amount and moment. A user without grants has one row. Moments are
-- microseconds. changed_seq: of the last entry that was applied; corrected_seq: of the last one that was no grant;
-- score_changed_at: when the score on the `all` board changed last, unless a score of 0 came or went (has_zero); is_corrected:
-- something else than grants moved the user. first_seq, tie_key and seq_key: see `aggregations.sql`; each is made only where it
-- is kept ($5: ties go by moments; $6: by seqs). An open dead letter and an open duplicate count, as the boards count them: a
-- correction as its grant's later revision, anything else as a grant of its own, whose name begins with a tab.
-- O(those users' entries × log).
WITH entries AS MATERIALIZED (
    SELECT x.number, l.*
    FROM unnest($2::bigint[], $3::bigint[]) AS x (number, seq)
    CROSS JOIN LATERAL (
        SELECT partition, epoch, seq, kind, verb, grant_id, revision, amount, granted_at, recorded_at, category, source, day,
               windows, voided, original_seq, score, score_delta
        FROM ledger
        WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number AND seq <= x.seq OFFSET 0) AS l),
changes AS MATERIALIZED (
    SELECT number, max(seq) FILTER (WHERE verb IS DISTINCT FROM 'quarantine' OR original_seq IS NOT NULL) AS changed_seq,
           max(seq) FILTER (WHERE NOT (kind IN ('grant', 'duplicate') OR kind = 'tombstone' AND revision = 1)
                                  OR original_seq IS NOT NULL) AS corrected_seq,
           max(recorded_at) FILTER (WHERE score_delta <> 0) AS score_changed_at,
           bool_or(score_delta = 0 AND coalesce(score, 0) = 0) AS has_zero,
           bool_or(kind NOT IN ('grant', 'hide', 'unhide', 'loss', 'orphan') OR original_seq IS NOT NULL) AS is_corrected
    FROM entries GROUP BY number),
counted AS (
    SELECT number, grant_id, revision, seq, original_seq, amount, granted_at, category, source, day, windows, voided
    FROM entries JOIN changes USING (number) WHERE is_corrected AND kind IN ('grant', 'correction')
    UNION ALL
    SELECT e.number, coalesce(d.grant_id, E'\t' || e.epoch || '-' || e.seq), e.revision, e.seq, NULL, e.amount, e.granted_at,
           e.category, e.source, e.day, e.windows, e.voided
    FROM entries e CROSS JOIN LATERAL (
        SELECT grant_id FROM dead_letters
        WHERE partition = e.partition AND epoch = e.epoch AND seq = e.seq AND healed_seq IS NULL OFFSET 0) AS d
    WHERE e.kind IN ('duplicate', 'tombstone') AND e.amount IS NOT NULL),
latest AS (
    SELECT * FROM (
        SELECT number, seq, amount, granted_at, category, source, day, windows, voided,
               row_number() OVER (PARTITION BY number, grant_id COLLATE "C" ORDER BY revision DESC, seq DESC) AS recency,
               min(coalesce(original_seq, seq)) OVER (PARTITION BY number, grant_id COLLATE "C") AS first_seq
        FROM counted) AS r
    WHERE recency = 1
    UNION ALL
    -- Where only grants came, each has one entry: sorting them by name would be a third of the work.
    SELECT number, seq, amount, granted_at, category, source, day, windows, voided, 1, seq
    FROM entries JOIN changes USING (number) WHERE NOT is_corrected AND kind = 'grant'),
groups AS (
    SELECT number, array_to_string(windows, ' ') AS windows, category, source, day::text AS day, voided, count(*) AS grants,
           max(seq) AS seq, (extract(epoch FROM max(granted_at)) * 1000000)::bigint AS last, min(first_seq) AS first_seq,
           -- include: score_of_grants (how = $4)
           AS score,
           -- include: latest_of_grants (how = $4)
           AS latest,
           -- include: tie_keys_of_grants (how = $4, by_moment = $5, by_seq = $6)
    FROM latest GROUP BY number, latest.windows, category, source, latest.day, voided)
SELECT number, changed_seq, corrected_seq, (extract(epoch FROM score_changed_at) * 1000000)::bigint AS score_changed_at, has_zero,
       is_corrected, windows, category, source, day, voided, grants, seq, last, first_seq, score, latest, tie_key, seq_key
FROM changes LEFT JOIN groups USING (number);

-- name: get_lost_cells
-- What the ledger lacks of some users of a namespace, each up to a seq, in order: it counts from the end of its gap on. O(them ×
-- log n).
SELECT x.number, c.cells::text AS cells FROM unnest($2::bigint[], $3::bigint[]) AS x (number, seq)
JOIN lost_cells c ON c.namespace_id = $1 AND c.user_number = x.number AND coalesce(c.since_seq, c.seq) <= x.seq ORDER BY c.seq;

-- name: get_lost_cells_of_user
-- The same of one user by name ($2), up to the ledger's end. O(log n).
SELECT cells::text AS cells FROM lost_cells
WHERE namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2) ORDER BY seq;

-- name: get_score_changes
-- When the score on the `all` board of some users changed last, each up to a seq ($3): in microseconds; those whose score never
-- did are left out. O(their entries × log).
SELECT number, (extract(epoch FROM max(recorded_at)) * 1000000)::bigint AS score_changed_at
FROM unnest($2::bigint[]) AS x (number) CROSS JOIN LATERAL (
    SELECT recorded_at, score, lag(score) OVER (ORDER BY seq) AS score_before FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number AND seq <= $3 OFFSET 0) AS l
WHERE score IS DISTINCT FROM score_before GROUP BY number;

-- name: get_numbered_users
-- The users who have an entry in a namespace, by number behind one ($2). O(their entries).
SELECT s.number, u.name FROM (
    SELECT DISTINCT user_number AS number FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number > $2
    ORDER BY user_number LIMIT $3) AS s
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = s.number LIMIT 1) AS u ORDER BY s.number;

-- name: get_accepted_grants
-- Grants of some users that were accepted since a moment ($3), the oldest first: when (microseconds), and their own amounts.
-- Opening balances count against no velocity. O(them × log).
SELECT number, (extract(epoch FROM recorded_at) * 1000000)::bigint AS at, entry_amount
FROM unnest($2::bigint[]) AS x (number) CROSS JOIN LATERAL (
    SELECT recorded_at, entry_amount, verb, opening FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number AND recorded_at >= $3
      AND kind = 'grant' OFFSET 0) AS l
WHERE verb IS DISTINCT FROM 'quarantine' AND NOT opening ORDER BY number, recorded_at;

-- name: get_kinds_of_corrected_grants
-- Windows, categories and sources in which some grant of a namespace ever lay that was corrected: of some no grant is left.
-- O(corrections × log).
SELECT DISTINCT l.windows, l.category, l.source FROM ledger c CROSS JOIN LATERAL (
    SELECT windows, category, source FROM grant_revisions
    WHERE partition = partition_of($1) AND namespace_id = $1 AND grant_id = c.grant_id AND NOT voided OFFSET 0) AS l
WHERE c.partition = partition_of($1) AND c.namespace_id = $1 AND coalesce(c.verb, c.kind) IN ('edit', 'void', 'restore')
  AND c.kind || '' = 'correction';

-- name: get_all_seals
-- The closed windows of a namespace, the earliest first: the seqs of their seals, and whether they are archived.
SELECT "window", seq, archived_at IS NOT NULL AS is_archived FROM seals WHERE namespace_id = $1 ORDER BY seq;

-- name: get_last_moment
-- When the last entry of a partition was recorded, in microseconds; 0 where it has none. O(log n).
SELECT coalesce((SELECT (extract(epoch FROM recorded_at) * 1000000)::bigint FROM ledger
    WHERE partition = $1 AND epoch = $2 AND seq = $3), 0) AS moment;

-- name: raise_epoch
-- A new epoch of a partition, above all before and above $2.
UPDATE partitions SET newest_epoch = greatest(newest_epoch, epoch, $2) + 1 WHERE partition = $1 RETURNING newest_epoch;

-- name: get_digest
-- The content digest of the entry at a place of a partition. O(log n).
SELECT digest FROM ledger WHERE partition = $1 AND epoch = $2 AND seq = $3;

-- name: count_users_of_partitions
-- How many users have an entry in the namespaces of some partitions, or in the one with an id ($2). O(them).
SELECT count(*) AS users FROM namespaces n CROSS JOIN LATERAL (
    SELECT FROM standings WHERE namespace_id = n.id OFFSET 0) AS s
WHERE n.partition = ANY($1::smallint[]) AND n.deleted_at IS NULL AND coalesce(n.id = $2::int, true);
