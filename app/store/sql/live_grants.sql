-- name: delete_live_grants
-- What corrections among the ledger's own new rows took out of the live grants: of each partition those behind the first
-- place, up to the last. O(corrections × log n).
DELETE FROM live_grants g USING (
    SELECT b.user_number, c.namespace_id, w.name,
           -- include: sort_key_of_live_grant (order = n, row = b)
           AS sort_key, b.granted_at, f.first_seq
    -- include: spans_of_new_rows
    CROSS JOIN LATERAL (
        SELECT namespace_id, grant_id, revision, seq, original_seq FROM ledger
        -- include: new_rows
          AND kind = 'correction' OFFSET 0) AS c
    -- include: replaced_revision
    -- include: grant_of_correction (row = c, partition = ANY($1))
    CROSS JOIN LATERAL (
        SELECT
        -- include: order_of_live_grants
        FROM namespaces WHERE id = c.namespace_id LIMIT 1) AS n
    -- include: windows_of_live_grant (order = n, row = b)
    WHERE NOT b.voided
      -- include: is_no_later_one_counted
) AS b
WHERE g.user_number = b.user_number AND g.namespace_id = b.namespace_id AND g."window" = b.name AND g.sort_key = b.sort_key
  AND g.granted_at = b.granted_at AND g.first_seq = b.first_seq;

-- name: add_live_grants
-- Behind `delete_live_grants`: the live grants among the same rows, each as the last of these rows leaves it. O(rows × log n).
INSERT INTO live_grants AS g (user_number, namespace_id, "window", sort_key, granted_at, first_seq, epoch, seq)
SELECT l.user_number, l.namespace_id, w.name,
       -- include: sort_key_of_live_grant (order = n, row = l)
       , l.granted_at, coalesce(f.first_seq, l.original_seq, l.seq), l.epoch, l.seq
-- include: spans_of_new_rows
CROSS JOIN LATERAL (
    SELECT epoch, seq, original_seq, namespace_id, grant_id, revision, kind, user_number, granted_at, amount, windows
    FROM grant_revisions
    -- include: new_rows
      AND NOT voided OFFSET 0) AS l
CROSS JOIN LATERAL (
    SELECT
    -- include: order_of_live_grants
    FROM namespaces WHERE id = l.namespace_id LIMIT 1) AS n
-- include: grant_itself (row = l, partition = ANY($1))
-- include: windows_of_live_grant (order = n, row = l)
WHERE NOT EXISTS (
    -- include: later_corrections (row = l, partition = ANY($1))
    AND c.seq <= x.last_seq OFFSET 0)
ON CONFLICT (user_number, namespace_id, "window", sort_key, granted_at, first_seq) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq;

-- name: count_live_grants
-- How many live grants a namespace has, and how many of them in the days from one moment to another; opening balances are
-- among these where it is for all time ($4). O(days with grants + hours with opening balances).
SELECT coalesce(sum(grants), 0)::bigint AS grants,
       coalesce(sum(grants) FILTER (
           WHERE at > $2::timestamptz - interval '2 days' AND at < $3::timestamptz AND (level = 0 OR $4::boolean)), 0)::bigint
           AS grants_within
FROM namespace_buckets WHERE namespace_id = $1 AND level IN (0, 4);

-- name: get_historical_board
-- A board as the log stood at a moment: every user's score by the grants and corrections recorded until then, ranked; board_size
-- in a row of its own where none is asked for. Among equals by their moments, where the line goes by these ($10), then by
-- name, as sorted sets list them. $11: with all who share a score with one of those. last_seq: behind it no entry moved the
-- board, a heal neither. O(the namespace's grants).
WITH latest AS MATERIALIZED (
    SELECT r.*, coalesce(f.first_seq, r.own_seq) AS first_seq
    FROM (SELECT kind, namespace_id, user_number, amount, granted_at, category, windows, voided, grant_id,
                 coalesce(original_seq, seq) AS own_seq, max(coalesce(original_seq, seq)) OVER () AS last_seq,
                 row_number() OVER (PARTITION BY grant_id ORDER BY revision DESC) AS recency
          FROM (
              -- include: revisions_of_namespace (condition = recorded_at <= $4 AND (windows @> ARRAY[$2::text] OR kind = 'correction'))
          ) AS l) AS r
    -- include: grant_itself (row = r, partition = partition_of($1))
    WHERE recency = 1 AND NOT voided AND windows @> ARRAY[$2::text] AND ($3::text IS NULL OR category = $3)),
scores AS MATERIALIZED (
    SELECT user_number,
           -- include: score_of_grants (how = $5)
           AS score,
           -- include: tie_place_of_grants (how = $5, has_tie_places = $10)
           AS tie
    FROM latest WHERE NOT EXISTS (
        SELECT FROM hidden_users h WHERE h.user_number = latest.user_number AND h.namespace_id IN (0, $1)) GROUP BY user_number),
ranked AS (
    SELECT u.name, u.number, s.score,
           row_number() OVER (ORDER BY s.score * $6::int DESC, s.tie, u.name COLLATE "C" DESC) AS position,
           rank() OVER (ORDER BY s.score * $6::int DESC) AS competition,
           dense_rank() OVER (ORDER BY s.score * $6::int DESC) AS dense
    FROM scores s JOIN users u ON u.number = s.user_number)
SELECT t.board_size, t.last_seq, r.name, r.number, r.score, r.position, r.competition, r.dense
FROM (SELECT (SELECT count(*) FROM scores) AS board_size, greatest((SELECT max(last_seq) FROM latest), (
          SELECT max(seq) FROM ledger
          WHERE partition = partition_of($1) AND namespace_id = $1 AND coalesce(verb, kind) IN ('heal', 'tombstone')
            AND recorded_at <= $4)) AS last_seq) AS t
LEFT JOIN (
    SELECT *, bool_or(is_requested) OVER (PARTITION BY competition) AS ties FROM (
        SELECT *, coalesce(name = ANY($9::text[]), position BETWEEN $7 AND $8) AS is_requested FROM ranked) AS a) AS r
  ON r.is_requested OR (r.ties AND $11::boolean)
ORDER BY r.position;
