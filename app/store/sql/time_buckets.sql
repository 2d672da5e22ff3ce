-- fragment: bucket_changes
-- What `add_buckets`, `add_subdivisions` and `find_unknown_days` begin with. What the ledger's own
-- new rows put into the counts by time and take out, and where: of each partition the rows behind the first place up to the
-- last. A correction takes out
-- what the revision that it replaced put in. No join meets the rows twice, so no plan can go wrong on a young table.
WITH new_rows AS MATERIALIZED (
    SELECT l.*
    -- include: spans_of_new_rows
    CROSS JOIN LATERAL (
        SELECT namespace_id, user_number, kind, grant_id, revision, granted_at, recorded_at, amount, voided, opening, seq,
               original_seq
        FROM grant_revisions
        -- include: new_rows
        ) AS l),
zones AS MATERIALIZED (
    SELECT id,
    -- include: zone_of_rules
    FROM namespaces
    WHERE id = ANY(ARRAY(SELECT DISTINCT namespace_id FROM new_rows))),
moves AS (
    SELECT namespace_id, user_number, granted_at, recorded_at, opening, 1 AS n, amount FROM new_rows WHERE kind = 'grant' AND NOT voided
    UNION ALL
    SELECT c.namespace_id, c.user_number, m.granted_at, f.recorded_at, m.opening, m.n, m.n * m.amount
    FROM new_rows c
    -- include: grant_of_correction (row = c, partition = ANY($1))
    -- include: replaced_revision
    CROSS JOIN LATERAL (VALUES (c.granted_at, 1, c.amount, c.voided, c.opening), (b.granted_at, -1, b.amount, b.voided, b.opening))
        AS m (granted_at, n, amount, voided, opening)
    WHERE c.kind = 'correction' AND NOT m.voided
      -- include: is_no_later_one_counted
),
placed AS MATERIALIZED (
    SELECT m.user_number, m.namespace_id, m.opening, m.n, m.amount, m.granted_at, m.recorded_at, day.granted AS granted_day,
           day.recorded AS recorded_day, date_bin('1 hour', m.granted_at, day.granted) AS granted_hour,
           date_bin('1 hour', m.recorded_at, day.recorded) AS recorded_hour
    FROM moves m JOIN zones z ON z.id = m.namespace_id
    CROSS JOIN LATERAL (
        SELECT
               -- include: begin_of_day (zone = z, at = m.granted_at)
               AS granted,

               -- include: begin_of_day (zone = z, at = m.recorded_at)
               AS recorded
        OFFSET 0) AS day)

-- fragment: begin_of_day
-- When the local day of a moment begins, by a zone and its day_offset; null where `zone_days` does not have the day yet.
CASE {{zone}}.zone WHEN 'UTC' THEN date_trunc('day', {{at}} - {{zone}}.day_offset, 'UTC') + {{zone}}.day_offset ELSE (
                   SELECT CASE WHEN {{at}} < ends THEN starts END FROM zone_days
                   WHERE zone = {{zone}}.zone AND day_offset = {{zone}}.day_offset AND starts <= {{at}}
                   ORDER BY starts DESC LIMIT 1) END

-- name: find_unknown_days
-- Behind `bucket_changes`: the days of UTC, by zone, in which moments lie whose local day is not known yet. O(rows × log n).
-- include: bucket_changes
SELECT DISTINCT z.zone, z.day_offset, ((x.at - z.day_offset) AT TIME ZONE 'UTC')::date AS day
FROM moves m JOIN zones z ON z.id = m.namespace_id AND z.zone <> 'UTC'
CROSS JOIN LATERAL (VALUES (m.granted_at), (m.recorded_at)) AS x (at)
WHERE (SELECT x.at < ends FROM zone_days WHERE zone = z.zone AND day_offset = z.day_offset AND starts <= x.at
       ORDER BY starts DESC LIMIT 1) IS NOT TRUE;

-- name: add_zone_days
-- day_offset: how long after midnight, by the clock, days begin; bounds are microseconds since 1970.
INSERT INTO zone_days (zone, day_offset, starts, ends)
SELECT zone, day_offset, '1970-01-01Z'::timestamptz + starts * interval '1 microsecond',
       '1970-01-01Z'::timestamptz + ends * interval '1 microsecond'
FROM unnest($1::text[], $2::interval[], $3::bigint[], $4::bigint[]) AS x (zone, day_offset, starts, ends)
ON CONFLICT DO NOTHING;

-- name: get_uncounted_span
-- How far a partition is counted by time, and how far it is to be counted next: $2 rows at most, whatever their epochs.
SELECT p.partition, p.counted_epoch, p.counted_seq, l.epoch, l.seq
FROM partitions p CROSS JOIN generate_series(p.counted_epoch, p.epoch) AS e (epoch)
CROSS JOIN LATERAL (
    SELECT epoch, seq FROM ledger
    WHERE partition = $1 AND epoch = e.epoch AND seq > p.counted_seq AND seq <= p.counted_seq + $2::bigint
    ORDER BY seq DESC LIMIT 1) AS l
WHERE p.partition = $1 AND p.counted_seq < p.seq ORDER BY l.seq DESC LIMIT 1;

-- name: advance_counted_offset
-- Conditional on what was read: two that count the same rows count them once.
UPDATE partitions SET counted_epoch = $4, counted_seq = $5
WHERE partition = $1 AND counted_epoch = $2 AND counted_seq = $3 RETURNING partition;

-- name: get_counted_offset
-- Up to where a partition is counted by time.
SELECT counted_epoch AS epoch, counted_seq AS seq FROM partitions WHERE partition = $1;

-- fragment: add_cells
-- Adds `cells` to the buckets of users. last_delta: the grants that came or went.
INSERT INTO user_buckets AS a (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, last_delta)
SELECT user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, grants FROM cells
ORDER BY user_number, namespace_id, level, at
ON CONFLICT (user_number, namespace_id, level, at) DO UPDATE
SET grants = a.grants + excluded.grants, amount = a.amount + excluded.amount, recorded = a.recorded + excluded.recorded,
    recorded_amount = a.recorded_amount + excluded.recorded_amount, last_delta = excluded.last_delta

-- name: add_buckets
-- Behind `bucket_changes`: days and hours of users and, with minutes, of namespaces. Users who come into a bucket or leave it are
-- known by their rows. Opening balances are in the hours of a level of their own (4). Answers the hours that are counted
-- finer, and those that are dense from now on. O(rows × log n).
-- include: bucket_changes
, cells AS MATERIALIZED (
    SELECT p.user_number, p.namespace_id, c.level, c.at, sum(c.grants) AS grants, sum(c.amount) AS amount,
           sum(c.recorded) AS recorded, sum(c.recorded_amount) AS recorded_amount
    FROM placed p
    CROSS JOIN LATERAL (VALUES
        (0, p.granted_day, p.n, p.amount, 0, 0), (1, p.granted_hour, p.n, p.amount, 0, 0),
        (0, p.recorded_day, 0, 0, p.n, p.amount), (1, p.recorded_hour, 0, 0, p.n, p.amount)
    ) AS c (level, at, grants, amount, recorded, recorded_amount)
    WHERE NOT p.opening GROUP BY p.user_number, p.namespace_id, c.level, c.at
    UNION ALL
    SELECT user_number, namespace_id, 4, granted_hour, sum(n), sum(amount), 0, 0 FROM placed
    WHERE opening GROUP BY user_number, namespace_id, granted_hour),
changed AS (
    -- include: add_cells
    RETURNING user_number, namespace_id, level, at, grants, recorded, is_subdivided,
              (grants > 0)::int - (grants - last_delta > 0)::int AS users),
namespace_changes AS (
    INSERT INTO namespace_buckets AS t (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
    SELECT namespace_id, level, at, sum(grants), sum(amount), sum(recorded), sum(recorded_amount), sum(users)
    FROM (SELECT namespace_id, level, at, grants, amount, recorded, recorded_amount, 0 AS users FROM cells
          UNION ALL SELECT namespace_id, level, at, 0, 0, 0, 0, users FROM changed
          UNION ALL SELECT namespace_id, 2, date_bin('1 minute', granted_at, granted_hour), n, amount, 0, 0, 0
                    FROM placed WHERE NOT opening
          UNION ALL SELECT namespace_id, 2, date_bin('1 minute', recorded_at, recorded_hour), 0, 0, n, amount, 0
                    FROM placed WHERE NOT opening) AS x
    GROUP BY namespace_id, level, at ORDER BY namespace_id, level, at
    ON CONFLICT (namespace_id, level, at) DO UPDATE
    SET grants = t.grants + excluded.grants, amount = t.amount + excluded.amount, recorded = t.recorded + excluded.recorded,
        recorded_amount = t.recorded_amount + excluded.recorded_amount, users = t.users + excluded.users)
SELECT user_number, namespace_id, at, is_subdivided FROM changed WHERE level = 1 AND (is_subdivided OR grants >= $6 OR recorded >= $6);

-- name: add_subdivisions
-- Behind `bucket_changes`: minutes and hundredths of seconds, in the hours that are counted so.
-- include: bucket_changes
, cells AS (
    SELECT p.user_number, p.namespace_id, l.level, date_bin(l.width, c.at, c.hour) AS at, sum(c.grants) AS grants,
           sum(c.amount) AS amount, sum(c.recorded) AS recorded, sum(c.recorded_amount) AS recorded_amount
    FROM placed p
    CROSS JOIN LATERAL (VALUES
        (p.granted_at, p.granted_hour, p.n, p.amount, 0, 0), (p.recorded_at, p.recorded_hour, 0, 0, p.n, p.amount)
    ) AS c (at, hour, grants, amount, recorded, recorded_amount)
    CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS l (level, width)
    WHERE NOT p.opening AND (SELECT is_subdivided FROM user_buckets a WHERE a.user_number = p.user_number AND a.namespace_id = p.namespace_id
           AND a.level = 1 AND a.at = c.hour)
    GROUP BY 1, 2, 3, 4)
-- include: add_cells
;

-- name: subdivide_hours
-- From now on some users' hours are counted by minutes and by hundredths of seconds, too: what the ledger holds of them is,
-- of each partition up to a seq. O(their grants in those hours × log n), once each.
WITH dense AS MATERIALIZED (
    SELECT x.*, s.last_seq,
    -- include: zone_of_rules
    FROM unnest($1::bigint[], $2::int[], $3::timestamptz[]) AS x (user_number, namespace_id, hour)
    JOIN namespaces n ON n.id = x.namespace_id
    JOIN unnest($4::smallint[], $5::bigint[]) AS s (partition, last_seq) ON s.partition = n.partition),
marked AS (
    UPDATE user_buckets a SET is_subdivided = true FROM dense d
    WHERE a.user_number = d.user_number AND a.namespace_id = d.namespace_id AND a.level = 1 AND a.at = d.hour)
INSERT INTO user_buckets (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, last_delta)
SELECT d.user_number, d.namespace_id, l.level, date_bin(l.width, c.at, d.hour), sum(c.grants), sum(c.amount),
       sum(c.recorded), sum(c.recorded_amount), 0
FROM dense d
CROSS JOIN LATERAL (
    SELECT g.granted_at AS at, 1 AS grants, g.amount AS amount, 0 AS recorded, 0 AS recorded_amount
    FROM grant_revisions g
    WHERE g.partition = ANY($4) AND g.namespace_id = d.namespace_id AND g.user_number = d.user_number
      AND g.granted_at >= d.hour AND g.granted_at < d.hour + interval '1 hour' AND NOT g.voided AND NOT g.opening
      AND g.seq + 0 <= d.last_seq AND NOT EXISTS (
          -- include: later_corrections (row = g, partition = ANY($4))
          AND c.seq <= d.last_seq OFFSET 0)
    UNION ALL
    SELECT g.recorded_at, 0, 0, 1, r.amount
    FROM (SELECT namespace_id, grant_id, recorded_at FROM ledger
          WHERE partition = ANY($4) AND namespace_id = d.namespace_id AND user_number = d.user_number AND kind = 'grant'
            AND recorded_at >= d.hour AND recorded_at < d.hour + interval '1 hour' AND seq + 0 <= d.last_seq OFFSET 0) AS g
    -- include: revision_at (row = g, seq = d.last_seq, partition = ANY($4))
    WHERE NOT r.voided AND NOT r.opening) AS c
CROSS JOIN LATERAL (
    SELECT
    -- include: begin_of_day (zone = d, at = c.at)
               AS begins OFFSET 0) AS day
CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS l (level, width)
WHERE date_bin('1 hour', c.at, day.begins) = d.hour
GROUP BY 1, 2, 3, 4;

-- name: add_board_sums
-- What entries changed on their namespaces' `all` boards, summed up by bucket, behind what was known: how much, and how
-- many users came. O(buckets).
WITH moved AS (
    SELECT namespace_id, level, at, sum(score_delta::numeric) AS score, sum(came) AS users
    FROM unnest($1::int[], $2::smallint[], $3::timestamptz[], $4::text[], $5::int[])
         AS x (namespace_id, level, at, score_delta, came)
    GROUP BY namespace_id, level, at)
INSERT INTO board_sums (namespace_id, level, at, score, users)
SELECT m.namespace_id, m.level, m.at, coalesce(b.score, 0) + sum(m.score) OVER w, coalesce(b.users, 0) + sum(m.users) OVER w
FROM moved m
LEFT JOIN LATERAL (
    SELECT score, users FROM board_sums WHERE namespace_id = m.namespace_id AND level = m.level
    ORDER BY at DESC LIMIT 1) AS b ON true
WINDOW w AS (PARTITION BY m.namespace_id, m.level ORDER BY m.at)
ON CONFLICT (namespace_id, level, at) DO UPDATE SET score = excluded.score, users = excluded.users;
