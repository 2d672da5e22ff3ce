-- name: get_user_activity
-- How many live grants some users have in a stretch of time, and what they come to, by granted time or by that of
-- recording: whole days, at each end the hours that are left, and of the two hours that the bounds cut what lies within:
-- where such an hour is dense its minutes and hundredths of seconds, and at the very ends the grants themselves. Each OFFSET 0
-- keeps a look-up one of its whole key, whatever the planner knows of the tables by then. The grants at the ends are those of
-- the place up to which the partition is counted (seq + 0: not to be found by it). O(users × (log n + days with
-- grants in the stretch + the grants of two hundredths of a second, or of two hours that are not dense)).
WITH as_of AS MATERIALIZED (
    SELECT p.counted_seq AS seq FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1)
SELECT u.name, coalesce(sum(p.grants), 0)::bigint AS grants, coalesce(sum(p.amount), 0) AS amount
FROM users u
CROSS JOIN LATERAL (
    SELECT FROM standings WHERE user_number = u.number AND namespace_id = $1 OFFSET 0) AS known
CROSS JOIN LATERAL (
    SELECT (SELECT min(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS first_hour,
           (SELECT max(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS last_hour,
           (SELECT min(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS first_day,
           (SELECT max(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS last_day
    OFFSET 0) AS e
CROSS JOIN LATERAL (
    SELECT least(e.first_hour, $3) AS low_until,
           CASE WHEN e.last_hour + interval '1 hour' > $3 AND e.last_day > e.last_hour IS NOT TRUE THEN e.last_hour
                ELSE $3 END AS high_since OFFSET 0) AS edge
LEFT JOIN LATERAL (
    SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
           CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
    FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 0 AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 1 AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 1 AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    FROM (VALUES ($2, edge.low_until), (edge.high_since, $3)) AS hour (since, until)
    CROSS JOIN LATERAL (
        SELECT (SELECT min(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
              AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS first_minute,
               (SELECT max(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                     AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS last_minute,
               (SELECT min(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                     AND a.level = 3 AND a.at >= hour.since AND a.at < hour.until) AS first_hundredth,
               (SELECT max(at) FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
                     AND a.level = 3 AND a.at >= hour.since AND a.at < hour.until) AS last_hundredth
        OFFSET 0) AS i
    CROSS JOIN LATERAL (
        SELECT least(i.first_hundredth, hour.until) AS low_until,
               CASE WHEN i.last_minute + interval '1 minute' > hour.until THEN i.last_minute ELSE hour.until END AS minutes,
               CASE WHEN i.last_hundredth + interval '10 milliseconds' > hour.until THEN i.last_hundredth ELSE hour.until END
                   AS high_since OFFSET 0) AS inner_edge
    CROSS JOIN LATERAL (
        SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
               CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
        FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 2 AND a.at >= hour.since AND a.at < inner_edge.minutes
        UNION ALL
        SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
        FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 3 AND a.at >= hour.since AND a.at < least(i.first_minute, inner_edge.high_since)
        UNION ALL
        SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
        FROM user_buckets a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 3 AND a.at >= inner_edge.minutes AND a.at < inner_edge.high_since AND i.first_minute IS NOT NULL
        UNION ALL
        SELECT 1, l.amount
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, amount FROM ledger l
            WHERE l.namespace_id = $1 AND l.user_number = u.number
              AND l.granted_at >= cut.since AND l.granted_at < cut.until
              AND l.kind IN ('grant', 'correction') AND NOT l.voided AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        WHERE NOT $4 AND NOT EXISTS (
            SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
            AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= (SELECT seq FROM as_of) OFFSET 0)
        UNION ALL
        SELECT 1, r.amount
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.namespace_id = $1 AND l.user_number = u.number
              AND l.recorded_at >= cut.since AND l.recorded_at < cut.until
              AND l.kind = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        CROSS JOIN LATERAL (
            SELECT amount, voided FROM ledger WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id
            AND kind IN ('grant', 'correction') AND seq <= (SELECT seq FROM as_of) ORDER BY revision DESC LIMIT 1) AS r
        WHERE $4 AND NOT r.voided) AS f
) AS p ON true
WHERE u.name = ANY($5::text[]) GROUP BY u.name;

-- name: get_namespace_activity
-- The same of a namespace as a whole: days, hours, minutes, and the grants of the two minutes that the bounds cut: these
-- by the indexes of times alone (+ 0 and || '' keep others away).
WITH as_of AS MATERIALIZED (
    SELECT p.counted_seq AS seq FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1)
SELECT coalesce(sum(p.grants), 0)::bigint AS grants, coalesce(sum(p.amount), 0) AS amount
FROM (SELECT) AS whole
CROSS JOIN LATERAL (
    SELECT (SELECT min(at) FROM namespace_buckets a WHERE a.namespace_id = $1
          AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS first_hour,
           (SELECT max(at) FROM namespace_buckets a WHERE a.namespace_id = $1
                 AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS last_hour,
           (SELECT min(at) FROM namespace_buckets a WHERE a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS first_day,
           (SELECT max(at) FROM namespace_buckets a WHERE a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS last_day
    OFFSET 0) AS e
CROSS JOIN LATERAL (
    SELECT least(e.first_hour, $3) AS low_until,
           CASE WHEN e.last_hour + interval '1 hour' > $3 AND e.last_day > e.last_hour IS NOT TRUE THEN e.last_hour
                ELSE $3 END AS high_since OFFSET 0) AS edge
LEFT JOIN LATERAL (
    SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
           CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
    FROM namespace_buckets a WHERE a.namespace_id = $1 AND a.level = 0 AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM namespace_buckets a WHERE a.namespace_id = $1
      AND a.level = 1 AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM namespace_buckets a WHERE a.namespace_id = $1 AND a.level = 1 AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    FROM (VALUES ($2, edge.low_until), (edge.high_since, $3)) AS hour (since, until)
    CROSS JOIN LATERAL (
        SELECT (SELECT min(at) FROM namespace_buckets a WHERE a.namespace_id = $1
              AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS first_minute,
               (SELECT max(at) FROM namespace_buckets a WHERE a.namespace_id = $1
                     AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS last_minute
        OFFSET 0) AS i
    CROSS JOIN LATERAL (
        SELECT least(i.first_minute, hour.until) AS low_until,
               CASE WHEN i.last_minute + interval '1 minute' > hour.until THEN i.last_minute ELSE hour.until END
                   AS high_since OFFSET 0) AS inner_edge
    CROSS JOIN LATERAL (
        SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
               CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
        FROM namespace_buckets a WHERE a.namespace_id = $1 AND a.level = 2 AND a.at >= hour.since AND a.at < inner_edge.high_since
        UNION ALL
        SELECT 1, l.amount
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, amount FROM ledger l
            WHERE l.namespace_id + 0 = $1 AND l.granted_at >= cut.since AND l.granted_at < cut.until
              AND l.kind IN ('grant', 'correction') AND NOT l.voided AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        WHERE NOT $4 AND NOT EXISTS (
            SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
            AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= (SELECT seq FROM as_of) OFFSET 0)
        UNION ALL
        SELECT 1, r.amount
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.namespace_id + 0 = $1 AND l.recorded_at >= cut.since AND l.recorded_at < cut.until
              AND l.kind || '' = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        CROSS JOIN LATERAL (
            SELECT amount, voided FROM ledger WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id
            AND kind IN ('grant', 'correction') AND seq <= (SELECT seq FROM as_of) ORDER BY revision DESC LIMIT 1) AS r
        WHERE $4 AND NOT r.voided) AS f
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
