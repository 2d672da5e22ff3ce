-- name: get_user_activity
-- How many live grants each of some users ($5: names) has from one moment ($2) to another ($3), and the sum of their amounts,
-- by granted time or by the time of recording ($4), in no order. It adds up whole days, at both ends whole hours, and of the
-- two hours that the bounds cut the part within them: minutes and hundredths of seconds where the hour is subdivided, and at
-- the very ends single grants. These are read up to the seq to which the partition is counted; seq + 0 keeps that out of the
-- choice of an index. OFFSET 0 keeps each look-up one of its whole key, whatever the planner knows of the tables.
-- O(users × (log n + days with grants in between + the grants of two hundredths of a second, or of two hours that are not
-- subdivided)).
WITH as_of AS MATERIALIZED (
    SELECT p.counted_seq AS seq FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1)
SELECT u.name, coalesce(sum(p.grants), 0)::bigint AS grants, coalesce(sum(p.amount), 0) AS amount
FROM users u
CROSS JOIN LATERAL (
    SELECT FROM standings WHERE user_number = u.number AND namespace_id = $1 OFFSET 0) AS known
-- include: edges_of_stretch (table = user_buckets, owner = a.user_number = u.number)
LEFT JOIN LATERAL (
    -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 0)
      AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 1)
      AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 1)
      AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    -- include: cut_hours
    CROSS JOIN LATERAL (
        SELECT
           -- include: ends_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 2, since = hour.since, until = hour.until, name = minute)
           ,
           -- include: ends_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 3, since = hour.since, until = hour.until, name = hundredth)
        OFFSET 0) AS i
    CROSS JOIN LATERAL (
        SELECT least(i.first_hundredth, hour.until) AS low_until,
               CASE WHEN i.last_minute + interval '1 minute' > hour.until THEN i.last_minute ELSE hour.until END AS minutes,
               CASE WHEN i.last_hundredth + interval '10 milliseconds' > hour.until THEN i.last_hundredth ELSE hour.until END
                   AS high_since OFFSET 0) AS inner_edge
    CROSS JOIN LATERAL (
        -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 2)
          AND a.at >= hour.since AND a.at < inner_edge.minutes
        UNION ALL
        -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 3)
          AND a.at >= hour.since AND a.at < least(i.first_minute, inner_edge.high_since)
        UNION ALL
        -- include: sums_of_buckets (table = user_buckets, owner = a.user_number = u.number, level = 3)
          AND a.at >= inner_edge.minutes AND a.at < inner_edge.high_since AND i.first_minute IS NOT NULL
        UNION ALL
        SELECT 1, l.amount
        -- include: cuts_of_hour
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, amount FROM grant_revisions l
            WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.user_number = u.number
              AND
              -- include: is_granted_in_cut
              OFFSET 0) AS l
        -- include: if_current_and_by_granted_at
        UNION ALL SELECT 1, r.amount
        -- include: cuts_of_hour
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.user_number = u.number
              AND l.recorded_at >= cut.since AND l.recorded_at < cut.until
              AND l.kind = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        -- include: revision_at (row = l, seq = (SELECT seq FROM as_of), partition = partition_of($1))
        WHERE $4 AND NOT r.voided AND NOT r.opening) AS f
) AS p ON true
WHERE u.name = ANY($5::text[]) GROUP BY u.name;

-- name: get_opening_sum
-- The same of a user's ($2) opening balances, which are in no stretch of time. O(log n + their hours).
SELECT coalesce(sum(grants), 0)::bigint AS grants, coalesce(sum(amount), 0) AS amount FROM user_buckets
WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND level = 4;

-- name: get_namespace_activity
-- The same of a whole namespace: days, hours, minutes, and the grants of the two minutes that the bounds cut. Those are found by
-- the indexes of times alone; + 0 and || '' keep other indexes away. O(log n + days + grants of two minutes).
WITH as_of AS MATERIALIZED (
    SELECT p.counted_seq AS seq FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1)
SELECT coalesce(sum(p.grants), 0)::bigint AS grants, coalesce(sum(p.amount), 0) AS amount
FROM (SELECT) AS whole
-- include: edges_of_stretch (table = namespace_buckets, owner = true)
LEFT JOIN LATERAL (
    -- include: sums_of_buckets (table = namespace_buckets, owner = true, level = 0)
      AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    -- include: sums_of_buckets (table = namespace_buckets, owner = true, level = 1)
      AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    -- include: sums_of_buckets (table = namespace_buckets, owner = true, level = 1)
      AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    -- include: cut_hours
    CROSS JOIN LATERAL (
        SELECT
           -- include: ends_of_buckets (table = namespace_buckets, owner = true, level = 2, since = hour.since, until = hour.until, name = minute)
        OFFSET 0) AS i
    CROSS JOIN LATERAL (
        SELECT least(i.first_minute, hour.until) AS low_until,
               CASE WHEN i.last_minute + interval '1 minute' > hour.until THEN i.last_minute ELSE hour.until END
                   AS high_since OFFSET 0) AS inner_edge
    CROSS JOIN LATERAL (
        -- include: sums_of_buckets (table = namespace_buckets, owner = true, level = 2)
          AND a.at >= hour.since AND a.at < inner_edge.high_since
        UNION ALL
        SELECT 1, l.amount
        -- include: cuts_of_hour
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, amount FROM grant_revisions l
            WHERE l.partition = partition_of($1) AND l.namespace_id + 0 = $1 AND
              -- include: is_granted_in_cut
              OFFSET 0) AS l
        -- include: if_current_and_by_granted_at
        UNION ALL SELECT 1, r.amount
        -- include: cuts_of_hour
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.partition = partition_of($1) AND l.namespace_id + 0 = $1 AND l.recorded_at >= cut.since
              AND l.recorded_at < cut.until AND l.kind || '' = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        -- include: revision_at (row = l, seq = (SELECT seq FROM as_of), partition = partition_of($1))
        WHERE $4 AND NOT r.voided AND NOT r.opening) AS f
) AS p ON true;

-- name: get_trends
-- Buckets with live grants by granted time, oldest first; the board's scores as the bucket's end found them, by the time of
-- recording. O(limit × log n).
SELECT t.at, t.grants, t.amount, t.users, b.score, b.users AS scores
FROM namespace_buckets t
LEFT JOIN LATERAL (
    SELECT score, users FROM board_sums WHERE namespace_id = t.namespace_id AND level = t.level AND at <= t.at
    ORDER BY at DESC LIMIT 1) AS b ON true
WHERE t.namespace_id = $1 AND t.level = $2 AND t.at >= $3 AND t.at < $4 AND t.grants > 0 ORDER BY t.at LIMIT $5;

-- fragment: cut_hours
-- What lies of the two hours that the bounds cut within these.
FROM (VALUES ($2, edge.low_until), (edge.high_since, $3)) AS hour (since, until)

-- fragment: cuts_of_hour
-- The moments of an hour that lie before its first whole bucket and behind its last one.
FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)

-- fragment: is_granted_in_cut
-- The condition that a revision `l` counts, with a granted_at between two moments, up to the seq that is counted.
l.granted_at >= cut.since AND l.granted_at < cut.until AND NOT l.voided AND NOT l.opening AND l.seq + 0 <= (SELECT seq FROM as_of)

-- fragment: if_current_and_by_granted_at
-- The condition that granted time is asked for, and that a row `l` is the current revision of its grant.
        WHERE NOT $4 AND NOT EXISTS (
            -- include: later_corrections (row = l, partition = partition_of($1))
            AND c.seq <= (SELECT seq FROM as_of) OFFSET 0)

-- fragment: sums_of_buckets
-- Of each bucket of a level ($4: by the time of recording) its grants and their amount. A stretch of time follows.
SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
               CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
        FROM {{table}} a WHERE {{owner}} AND a.namespace_id = $1 AND a.level = {{level}}

-- fragment: end_of_buckets
-- The first (which = min) or the last (max) bucket of a level within a stretch of time. O(log n).
(SELECT {{which}}(at) FROM {{table}} a
            WHERE {{owner}} AND a.namespace_id = $1 AND a.level = {{level}} AND a.at >= {{since}} AND a.at < {{until}})

-- fragment: ends_of_buckets
-- Both, as columns.
-- include: end_of_buckets (which = min, table = {{table}}, owner = {{owner}}, level = {{level}}, since = {{since}}, until = {{until}})
AS first_{{name}},
-- include: end_of_buckets (which = max, table = {{table}}, owner = {{owner}}, level = {{level}}, since = {{since}}, until = {{until}})
AS last_{{name}}

-- fragment: edges_of_stretch
-- The hours and days with grants in the stretch asked for ($2 to $3), and where the hours end that its bounds cut. OFFSET 0
-- keeps each look-up one of its whole key.
CROSS JOIN LATERAL (
    SELECT
           -- include: ends_of_buckets (table = {{table}}, owner = {{owner}}, level = 1, since = $2, until = $3, name = hour)
           ,
           -- include: ends_of_buckets (table = {{table}}, owner = {{owner}}, level = 0, since = $2, until = $3, name = day)
    OFFSET 0) AS e
CROSS JOIN LATERAL (
    SELECT least(e.first_hour, $3) AS low_until,
           CASE WHEN e.last_hour + interval '1 hour' > $3 AND e.last_day > e.last_hour IS NOT TRUE THEN e.last_hour
                ELSE $3 END AS high_since OFFSET 0) AS edge
