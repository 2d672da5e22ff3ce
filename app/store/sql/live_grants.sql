-- name: delete_live_grants
-- What corrections among the ledger's own new rows took out of the live grants: of each partition those behind the first
-- place, up to the last. O(corrections × log n).
DELETE FROM live_grants g USING (
    SELECT b.user_number, c.namespace_id, w.name,
           CASE WHEN n.best THEN n.sign * b.amount ELSE 0 END AS sort_key, b.granted_at, f.seq
    FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)
    CROSS JOIN LATERAL (
        SELECT namespace_id, grant_id, revision, seq, original_seq FROM ledger
        WHERE partition = x.p AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)
          AND kind = 'correction' OFFSET 0) AS c
    -- include: replaced_revision
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE namespace_id = c.namespace_id AND grant_id = c.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS f
    CROSS JOIN LATERAL (
        SELECT rules ->> 'aggregation' = 'best' AS best, CASE rules ->> 'order' WHEN 'asc' THEN -1 ELSE 1 END AS sign
        FROM namespaces WHERE id = c.namespace_id LIMIT 1) AS n
    CROSS JOIN LATERAL unnest(CASE WHEN n.best THEN b.windows ELSE '{all}' END) AS w (name)
    WHERE NOT b.voided
      -- include: is_no_later_one_counted
) AS b
WHERE g.user_number = b.user_number AND g.namespace_id = b.namespace_id AND g."window" = b.name AND g.sort_key = b.sort_key
  AND g.granted_at = b.granted_at AND g.first_seq = b.seq;

-- name: add_live_grants
-- Behind `delete_live_grants`: the live grants among the same rows, each as the last of these rows leaves it. O(rows × log n).
INSERT INTO live_grants AS g (user_number, namespace_id, "window", sort_key, granted_at, first_seq, epoch, seq)
SELECT l.user_number, l.namespace_id, w.name, CASE WHEN n.best THEN n.sign * l.amount ELSE 0 END, l.granted_at,
       coalesce(f.seq, l.original_seq, l.seq), l.epoch, l.seq
FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)
CROSS JOIN LATERAL (
    SELECT epoch, seq, original_seq, namespace_id, grant_id, revision, kind, user_number, granted_at, amount, windows FROM ledger
    WHERE partition = x.p AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)
      AND kind IN ('grant', 'correction') AND NOT voided OFFSET 0) AS l
CROSS JOIN LATERAL (
    SELECT rules ->> 'aggregation' = 'best' AS best, CASE rules ->> 'order' WHEN 'asc' THEN -1 ELSE 1 END AS sign
    FROM namespaces WHERE id = l.namespace_id LIMIT 1) AS n
LEFT JOIN LATERAL (
    SELECT coalesce(original_seq, seq) AS seq FROM ledger
    WHERE l.kind = 'correction' AND namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
      AND kind = 'grant' LIMIT 1) AS f ON true
CROSS JOIN LATERAL unnest(CASE WHEN n.best THEN l.windows ELSE '{all}' END) AS w (name)
WHERE NOT EXISTS (
    SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
    AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= x.last_seq OFFSET 0)
ON CONFLICT (user_number, namespace_id, "window", sort_key, granted_at, first_seq) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq;

-- name: count_live_grants
-- How many live grants a namespace has, and how many of them in the days from one moment to another. O(days with grants).
SELECT coalesce(sum(grants), 0)::bigint AS grants,
       coalesce(sum(grants) FILTER (WHERE at > $2::timestamptz - interval '2 days' AND at < $3::timestamptz), 0)::bigint
           AS grants_within
FROM namespace_buckets WHERE namespace_id = $1 AND level = 0;

-- name: get_historical_board
-- A board as the log stood at a moment: every user's score by the grants and corrections recorded until then, ranked; total
-- in a row of its own where none is asked for. Among equals by their moments, where the line goes by these ($10), then by
-- name, as sorted sets list them. $11: with all who share a score with one of those. last_seq: behind it no entry moved the
-- board, a heal neither. O(the namespace's grants).
WITH latest AS MATERIALIZED (
    SELECT r.*, coalesce(f.seq, r.own_seq) AS first_seq
    FROM (SELECT *, coalesce(original_seq, seq) AS own_seq, max(coalesce(original_seq, seq)) OVER () AS last_seq,
                 row_number() OVER (PARTITION BY grant_id ORDER BY revision DESC) AS place
          FROM (SELECT kind, user_number, amount, granted_at, category, windows, voided, grant_id, revision, seq, original_seq
                FROM ledger
                WHERE namespace_id = $1 AND kind || '' IN ('grant', 'correction') AND recorded_at <= $4
                  AND (windows @> ARRAY[$2::text] OR kind = 'correction')
                ORDER BY coalesce(verb, kind), seq OFFSET 0) AS l) AS r
    LEFT JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE r.kind = 'correction' AND namespace_id = $1 AND grant_id = r.grant_id AND revision = 1 AND kind = 'grant'
        LIMIT 1) AS f ON true
    WHERE place = 1 AND NOT voided AND windows @> ARRAY[$2::text] AND ($3::text IS NULL OR category = $3)),
scores AS MATERIALIZED (
    SELECT user_number, CASE $5::text WHEN 'sum' THEN sum(amount)::bigint WHEN 'highest' THEN max(amount)
               WHEN 'lowest' THEN min(amount) ELSE (array_agg(amount ORDER BY granted_at DESC, first_seq DESC))[1] END AS score,
           tie_of(max(tie_key($5, amount, granted_at, first_seq)) FILTER (WHERE $10::boolean)) AS tie
    FROM latest WHERE NOT EXISTS (
        SELECT FROM hidden_users h WHERE h.user_number = latest.user_number AND h.namespace_id IN (0, $1)) GROUP BY user_number),
ranked AS (
    SELECT u.name, u.number, s.score,
           row_number() OVER (ORDER BY s.score * $6::int DESC, s.tie, u.name COLLATE "C" DESC) AS position,
           rank() OVER (ORDER BY s.score * $6::int DESC) AS competition,
           dense_rank() OVER (ORDER BY s.score * $6::int DESC) AS dense
    FROM scores s JOIN users u ON u.number = s.user_number)
SELECT t.total, t.last_seq, r.name, r.number, r.score, r.position, r.competition, r.dense
FROM (SELECT (SELECT count(*) FROM scores) AS total, greatest((SELECT max(last_seq) FROM latest), (
          SELECT max(seq) FROM ledger
          WHERE namespace_id = $1 AND coalesce(verb, kind) IN ('heal', 'tombstone') AND recorded_at <= $4)) AS last_seq) AS t
LEFT JOIN (
    SELECT *, bool_or(is_requested) OVER (PARTITION BY competition) AS ties FROM (
        SELECT *, coalesce(name = ANY($9::text[]), position BETWEEN $7 AND $8) AS is_requested FROM ranked) AS a) AS r
  ON r.is_requested OR (r.ties AND $11::boolean)
ORDER BY r.position;
