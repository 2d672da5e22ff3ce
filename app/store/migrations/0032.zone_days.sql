-- depends: 0031.audit_types

-- The local days of zones, as app/model/windows.py has them: starts ≤ t < ends. Written by the persister before it counts
-- what lies in them. Postgres reads some names (CET, MET, EET, WET) as abbreviations of a fixed offset: it is not asked.
CREATE TABLE zone_days (
    zone text NOT NULL,
    starts timestamptz NOT NULL,
    ends timestamptz NOT NULL,
    PRIMARY KEY (zone, starts)
);

-- The counts of namespaces with such names are made anew, by cities whose clocks have shown the same since 1977.
CREATE FUNCTION pg_temp.city(zone text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE zone WHEN 'CET' THEN 'Europe/Brussels' WHEN 'MET' THEN 'Europe/Brussels' WHEN 'EET' THEN 'Europe/Athens'
                     WHEN 'WET' THEN 'Europe/Lisbon' END $$;
CREATE TEMP TABLE renewed ON COMMIT DROP AS
SELECT n.id, pg_temp.city(n.rules ->> 'timezone') AS zone, p.counted_seq
FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE pg_temp.city(n.rules ->> 'timezone') IS NOT NULL;

DELETE FROM activity WHERE namespace_id IN (SELECT id FROM renewed);
DELETE FROM trends WHERE namespace_id IN (SELECT id FROM renewed);
DELETE FROM board_sums WHERE namespace_id IN (SELECT id FROM renewed);

CREATE TEMP TABLE moments ON COMMIT DROP AS
SELECT l.user_number, l.namespace_id, l.granted_at, f.recorded_at, l.value, day_begin(l.granted_at, n.zone) AS granted,
       day_begin(f.recorded_at, n.zone) AS recorded
FROM renewed n
JOIN ledger l ON l.namespace_id = n.id AND l.seq <= n.counted_seq
JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1 AND f.kind = 'grant'
WHERE l.kind IN ('grant', 'correction') AND NOT l.voided AND NOT EXISTS (
    SELECT FROM ledger x WHERE x.namespace_id = l.namespace_id AND x.grant_id = l.grant_id
    AND x.kind = 'correction' AND x.revision > l.revision AND x.seq <= n.counted_seq);

INSERT INTO activity (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT m.user_number, m.namespace_id, c.level, c.at, sum(c.grants), sum(c.amount), sum(c.recorded), sum(c.recorded_amount), 0
FROM moments m
CROSS JOIN LATERAL (VALUES
    (0, m.granted, 1, m.value, 0, 0), (1, date_bin('1 hour', m.granted_at, m.granted), 1, m.value, 0, 0),
    (0, m.recorded, 0, 0, 1, m.value), (1, date_bin('1 hour', m.recorded_at, m.recorded), 0, 0, 1, m.value)
) AS c (level, at, grants, amount, recorded, recorded_amount)
GROUP BY 1, 2, 3, 4;

INSERT INTO trends (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
SELECT namespace_id, level, at, sum(grants), sum(amount), sum(recorded), sum(recorded_amount),
       count(*) FILTER (WHERE grants > 0)
FROM activity WHERE namespace_id IN (SELECT id FROM renewed) GROUP BY namespace_id, level, at;

INSERT INTO trends (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
SELECT m.namespace_id, 2, c.at, sum(c.grants), sum(c.amount), sum(c.recorded), sum(c.recorded_amount), 0
FROM moments m
CROSS JOIN LATERAL (VALUES
    (date_bin('1 minute', m.granted_at, m.granted), 1, m.value, 0, 0),
    (date_bin('1 minute', m.recorded_at, m.recorded), 0, 0, 1, m.value)
) AS c (at, grants, amount, recorded, recorded_amount)
GROUP BY 1, 2, 3;

UPDATE activity SET fine = true
WHERE namespace_id IN (SELECT id FROM renewed) AND level = 1 AND (grants >= 256 OR recorded >= 256);

INSERT INTO activity (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT m.user_number, m.namespace_id, w.level, date_bin(w.width, c.at, c.hour), sum(c.grants), sum(c.amount),
       sum(c.recorded), sum(c.recorded_amount), 0
FROM moments m
CROSS JOIN LATERAL (VALUES
    (m.granted_at, date_bin('1 hour', m.granted_at, m.granted), 1, m.value, 0, 0),
    (m.recorded_at, date_bin('1 hour', m.recorded_at, m.recorded), 0, 0, 1, m.value)
) AS c (at, hour, grants, amount, recorded, recorded_amount)
JOIN activity a ON a.user_number = m.user_number AND a.namespace_id = m.namespace_id AND a.level = 1 AND a.at = c.hour
     AND a.fine
CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS w (level, width)
GROUP BY 1, 2, 3, 4;

INSERT INTO board_sums (namespace_id, level, at, score, users)
SELECT namespace_id, level, at, sum(sum(change)) OVER w, sum(sum(came)) OVER w
FROM (
    SELECT l.namespace_id, c.level, c.at, l.change::numeric AS change,
           (l.score IS NOT NULL)::int - (lag(l.score) OVER (
               PARTITION BY l.namespace_id, l.user_number, c.level ORDER BY l.epoch, l.seq) IS NOT NULL)::int AS came
    FROM renewed n
    JOIN ledger l ON l.namespace_id = n.id
    CROSS JOIN LATERAL (SELECT day_begin(l.recorded_at, n.zone) AS at OFFSET 0) AS day
    CROSS JOIN LATERAL (VALUES (0, day.at), (1, date_bin('1 hour', l.recorded_at, day.at))) AS c (level, at)
    WHERE l.user_number IS NOT NULL) AS moved
GROUP BY namespace_id, level, at WINDOW w AS (PARTITION BY namespace_id, level ORDER BY at);
