-- name: find_ledger_gaps
-- Where a partition's seq does not go on by one, up to the last entry that it is known to hold.
-- A row of the kind `gap` stands for all those that its name tells.
SELECT l.seq, l.before, l.is_end FROM (
    SELECT seq, is_end, first_seq, lag(seq, 1, 0::bigint) OVER (ORDER BY epoch, seq) AS before
    FROM (SELECT epoch, seq, false AS is_end,
                 CASE kind WHEN 'gap' THEN substring(grant_id FROM '^gap:(\d+)-')::bigint ELSE seq END AS first_seq
          FROM ledger WHERE partition = $1
          UNION ALL SELECT epoch, seq + 1, true, seq + 1 FROM partitions WHERE partition = $1) AS x) AS l
WHERE l.first_seq <> l.before + 1 ORDER BY l.seq LIMIT 100;

-- name: find_differing_rows
-- Rows of a namespace that do not go on from their user's row before: each tells the score that it left and what it
-- changed. A user who is erased leaves the board without a change. A row of the kind `loss` belongs into the gap before it.
-- O(n log n).
WITH gaps AS MATERIALIZED (
    SELECT seq FROM ledger WHERE partition = partition_of($1) AND namespace_id = 0 AND coalesce(verb, kind) = 'gap')
SELECT l.epoch, l.seq, u.name AS "user", l.before, l.score_delta, l.score, l.entry_amount, l.amount FROM (
    SELECT epoch, seq, kind, user_number, entry_amount, amount, score_delta, coalesce(score, 0) AS score,
           lag(coalesce(score, 0), 1, 0::bigint) OVER (PARTITION BY user_number ORDER BY CASE kind
               WHEN 'loss' THEN (SELECT coalesce(max(g.seq), 0) FROM gaps g WHERE g.seq <= r.seq) ELSE seq END, seq) AS before
    FROM ledger r WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number IS NOT NULL) AS l
JOIN users u ON u.number = l.user_number
WHERE (l.before + l.score_delta <> l.score OR (l.kind = 'grant' AND l.entry_amount <> l.amount))
  AND NOT EXISTS (SELECT FROM hidden_users h WHERE h.user_number = l.user_number AND h.erased)
ORDER BY l.seq LIMIT $2;

-- name: find_differing_standings
-- Where standings are not what the ledger's rows add up to.
SELECT u.name AS "user", s.score AS actual, l.score AS expected, s.grants AS actual_grants, l.grants AS expected_grants
FROM (SELECT user_number, sum(score_delta)::bigint AS score, sum(live_delta)::bigint AS grants FROM (
          SELECT user_number, score_delta, live_delta FROM ledger
          WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number IS NOT NULL ORDER BY coalesce(verb, kind), seq OFFSET 0) AS r
      GROUP BY user_number) AS l
FULL JOIN (SELECT * FROM standings WHERE namespace_id = $1) AS s ON s.user_number = l.user_number
LEFT JOIN users u ON u.number = coalesce(s.user_number, l.user_number)
WHERE (s.score, s.grants) IS DISTINCT FROM (l.score, l.grants) LIMIT $2;

-- name: get_moment_bounds
-- The first and the last moment of a namespace's grants, by granted time or by that of recording. O(its rows).
SELECT min(least(granted_at, recorded_at)) AS first, max(greatest(granted_at, recorded_at)) AS last FROM (
    -- include: revisions_of_namespace (condition = true)
) AS l;

-- name: find_differing_buckets
-- Where the counts by time of a namespace are not what its rows come to, up to the row that they have come to: users' and
-- the namespace's hours and days, and the hours of opening balances (4), anew from the ledger; minutes and hundredths of seconds by what their hours hold. The
-- days are found in an array of their beginnings. user: null of the namespace's own. O(n log n).
WITH zone AS MATERIALIZED (SELECT partition FROM namespaces WHERE id = $1),
latest AS MATERIALIZED (
    SELECT user_number, amount, granted_at, first_at, opening FROM (
        SELECT l.user_number, l.amount, l.granted_at, l.voided, l.opening, row_number() OVER w AS recency,
               min(l.recorded_at) OVER (PARTITION BY l.grant_id) AS first_at
        FROM zone z JOIN partitions p ON p.partition = z.partition
        CROSS JOIN LATERAL (
            -- include: revisions_of_namespace (condition = seq + 0 <= p.counted_seq)
            ) AS l
        WINDOW w AS (PARTITION BY l.grant_id ORDER BY l.revision DESC)) AS r
    WHERE recency = 1 AND NOT voided),
days AS MATERIALIZED (SELECT $3::timestamptz[] AS starts),
hours AS MATERIALIZED (
    SELECT user_number, day, date_bin('1 hour', moment, day) AS at, sum(grants) AS grants, sum(amount) AS amount,
           sum(recorded) AS recorded, sum(recorded_amount) AS recorded_amount
    FROM (SELECT r.user_number, m.*, d.starts[width_bucket(m.moment, d.starts)] AS day
          FROM latest r CROSS JOIN days d CROSS JOIN LATERAL (
              VALUES (r.granted_at, 1, r.amount, 0, 0), (r.first_at, 0, 0, 1, r.amount)
          ) AS m (moment, grants, amount, recorded, recorded_amount)
          WHERE NOT r.opening OFFSET 0) AS placed
    GROUP BY 1, 2, 3),
expected AS MATERIALIZED (
    SELECT user_number, 1 AS level, at, grants, amount, recorded, recorded_amount FROM hours
    UNION ALL SELECT user_number, 0, day, sum(grants), sum(amount), sum(recorded), sum(recorded_amount) FROM hours GROUP BY 1, 3
    UNION ALL SELECT r.user_number, 4, date_bin('1 hour', r.granted_at, d.starts[width_bucket(r.granted_at, d.starts)]) AS at,
                     count(*), sum(r.amount), 0, 0 FROM latest r CROSS JOIN days d WHERE r.opening GROUP BY 1, 3),
actual AS MATERIALIZED (
    SELECT a.* FROM standings s
    CROSS JOIN LATERAL (SELECT * FROM user_buckets WHERE user_number = s.user_number AND namespace_id = $1 OFFSET 0) AS a
    WHERE s.namespace_id = $1),
subdivisions AS (
    SELECT f.user_number, f.level, h.at, sum(f.grants) AS grants, sum(f.amount) AS amount, sum(f.recorded) AS recorded,
           sum(f.recorded_amount) AS recorded_amount, min(h.grants) AS hour_grants, min(h.amount) AS hour_amount,
           min(h.recorded) AS hour_recorded, min(h.recorded_amount) AS hour_recorded_amount
    FROM (SELECT user_number, level, at, grants, amount, recorded, recorded_amount, is_subdivided FROM actual
          UNION ALL SELECT NULL, level, at, grants, amount, recorded, recorded_amount, level = 1 FROM namespace_buckets
                    WHERE namespace_id = $1) AS f
    CROSS JOIN days d
    JOIN (SELECT user_number, at, grants, amount, recorded, recorded_amount FROM actual WHERE level = 1 AND is_subdivided
          UNION ALL SELECT NULL, at, grants, amount, recorded, recorded_amount FROM namespace_buckets
                    WHERE namespace_id = $1 AND level = 1) AS h
      ON h.user_number IS NOT DISTINCT FROM f.user_number
         AND h.at = date_bin('1 hour', f.at, d.starts[width_bucket(f.at, d.starts)])
    WHERE f.level IN (2, 3) GROUP BY 1, 2, 3),
pairs AS (
    SELECT u.number AS user_number, level, at, h.grants, h.amount, h.recorded, h.recorded_amount, NULL::bigint AS users,
           w.grants, w.amount, w.recorded, w.recorded_amount, NULL::bigint
    FROM (SELECT * FROM actual WHERE level IN (0, 1, 4)) AS h
    FULL JOIN expected w USING (user_number, level, at) JOIN users u ON u.number = user_number
    UNION ALL
    SELECT NULL, level, at, h.grants, h.amount, h.recorded, h.recorded_amount, h.users,
           w.grants, w.amount, w.recorded, w.recorded_amount, w.users
    FROM (SELECT * FROM namespace_buckets WHERE namespace_id = $1 AND level IN (0, 1, 4)) AS h
    FULL JOIN (SELECT level, at, sum(grants) AS grants, sum(amount) AS amount, sum(recorded) AS recorded,
                      sum(recorded_amount) AS recorded_amount, count(*) FILTER (WHERE grants > 0) AS users
               FROM expected GROUP BY 1, 2) AS w USING (level, at)
    UNION ALL
    SELECT user_number, level, at, grants, amount, recorded, recorded_amount, NULL,
           hour_grants, hour_amount, hour_recorded, hour_recorded_amount, NULL FROM subdivisions)
SELECT u.name AS "user", t.* FROM pairs AS t (
    user_number, level, at, grants, amount, recorded, recorded_amount, users,
    expected_grants, expected_amount, expected_recorded, expected_recorded_amount, expected_users)
LEFT JOIN users u ON u.number = t.user_number
WHERE (coalesce(grants, 0), coalesce(amount, 0), coalesce(recorded, 0), coalesce(recorded_amount, 0), coalesce(users, 0))
   <> (coalesce(expected_grants, 0), coalesce(expected_amount, 0), coalesce(expected_recorded, 0),
       coalesce(expected_recorded_amount, 0), coalesce(expected_users, 0))
ORDER BY at, level, 1 LIMIT $2;

-- fragment: differences
-- Rows of `actual` that are not in `expected` (is_extra), and rows of `expected` that are not in `actual`.
    SELECT *, true AS is_extra FROM (SELECT * FROM actual EXCEPT SELECT * FROM expected) AS h
    UNION ALL SELECT *, false FROM (SELECT * FROM expected EXCEPT SELECT * FROM actual) AS w

-- name: find_differing_live_grants
-- Live grants of a namespace that are not what its rows come to, up to the row that they have come to. seq: that of the
-- revision. O(n log n).
WITH space AS MATERIALIZED (
    SELECT p.counted_seq,
           -- include: order_of_live_grants
    FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1),
latest AS (
    SELECT * FROM (
        SELECT l.user_number, l.amount, l.granted_at, l.windows, l.voided, l.epoch, l.seq, row_number() OVER w AS recency,
               min(coalesce(l.original_seq, l.seq)) OVER (PARTITION BY l.grant_id) AS first_seq
        FROM space s CROSS JOIN LATERAL (
            -- include: revisions_of_namespace (condition = seq + 0 <= s.counted_seq)
            ) AS l
        WINDOW w AS (PARTITION BY l.grant_id ORDER BY l.revision DESC)) AS r
    WHERE recency = 1 AND NOT voided),
expected AS (
    SELECT l.user_number, w.name AS "window",
           -- include: sort_key_of_live_grant (order = s, row = l)
           AS sort_key, l.granted_at, l.first_seq, l.epoch, l.seq
    FROM latest l CROSS JOIN space s
    -- include: windows_of_live_grant (order = s, row = l)
    ),
actual AS (
    SELECT g.* FROM standings t CROSS JOIN LATERAL (
        SELECT user_number, "window", sort_key, granted_at, first_seq, epoch, seq FROM live_grants
        WHERE user_number = t.user_number AND namespace_id = $1 OFFSET 0) AS g
    WHERE t.namespace_id = $1)
SELECT u.name AS "user", d."window", d.first_seq, d.seq, d.is_extra FROM (
    -- include: differences
) AS d
JOIN users u ON u.number = d.user_number ORDER BY d.first_seq, d."window", d.is_extra LIMIT $2;

-- name: find_differing_quarantined
-- Grants that are listed as waiting in quarantine and do not wait, or wait and are not listed as they are. O(grants that were
-- ever in quarantine × log).
WITH expected AS MATERIALIZED (
    SELECT l.seq, l.grant_id, l.source, l.source_id FROM ledger l
    WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND coalesce(l.verb, l.kind) = 'quarantine'
      AND l.kind || '' = 'grant' AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.partition = partition_of($1) AND c.namespace_id = $1 AND c.grant_id = l.grant_id
          AND c.kind = 'correction' OFFSET 0)),
actual AS MATERIALIZED (SELECT seq, grant_id, source, source_id FROM quarantined_grants WHERE namespace_id = $1)
SELECT seq, grant_id, is_extra FROM (
    -- include: differences
) AS d
ORDER BY seq, is_extra LIMIT $2;
