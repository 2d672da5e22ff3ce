-- depends: 0010.told

-- The zone as Postgres knows it; one that it has never heard of is UTC to it, which is better than no ledger at all.
CREATE FUNCTION known_zone(zone text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    PERFORM now() AT TIME ZONE zone;
    RETURN coalesce(zone, 'UTC');
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN 'UTC';
END $$;

-- The first instant whose local date is `day` or later, as app/model/windows.py has it. The guesses are the midnight that
-- is meant where the clock shows it once or twice; where it never does, the search finds the first instant behind it.
CREATE FUNCTION day_starts(day date, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    midnight timestamptz := day::timestamp AT TIME ZONE zone;
    low bigint;
    high bigint;
    middle bigint;
BEGIN
    FOR back IN REVERSE 1 .. 0 LOOP
        IF ((midnight - back * interval '1 hour') AT TIME ZONE zone)::date = day
           AND ((midnight - back * interval '1 hour' - interval '1 microsecond') AT TIME ZONE zone)::date < day THEN
            RETURN midnight - back * interval '1 hour';
        END IF;
    END LOOP;
    low := -30 * 3600000000::bigint;
    high := 30 * 3600000000::bigint;
    midnight := day::timestamp AT TIME ZONE 'UTC';
    WHILE low < high LOOP
        middle := (low + high) >> 1;
        IF ((midnight + middle * interval '1 microsecond') AT TIME ZONE zone)::date >= day THEN
            high := middle;
        ELSE
            low := middle + 1;
        END IF;
    END LOOP;
    RETURN midnight + low * interval '1 microsecond';
END $$;

-- Where the local day of an instant begins. A clock turned back over midnight shows a date again: those instants stay in
-- the day that had begun.
CREATE FUNCTION day_begin(at timestamptz, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
DECLARE
    day date;
    next_day timestamptz;
BEGIN
    IF zone = 'UTC' THEN
        RETURN date_trunc('day', at, 'UTC');
    END IF;
    day := (at AT TIME ZONE zone)::date;
    next_day := day_starts(day + 1, zone);
    IF at >= next_day THEN
        RETURN next_day;
    END IF;
    RETURN day_starts(day, zone);
END $$;

-- A user's live grants: level 0 by days of the namespace's zone, 1 by hours counted from the beginning of each; in hours
-- marked `fine` also 2 by minutes and 3 by hundredths of a second. `grants` and `amount` are by granted time, `recorded` and
-- `recorded_amount` by the time at which the grant itself was recorded, all as last revisions left them. step: what was
-- added to `grants` last, which tells who has just come and who has gone.
CREATE TABLE activity (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    grants bigint NOT NULL,
    amount numeric NOT NULL,
    recorded bigint NOT NULL,
    recorded_amount numeric NOT NULL,
    step bigint NOT NULL,
    fine boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_number, namespace_id, level, at)
) WITH (fillfactor = 85);

-- The same of all users of a namespace, by days, hours and minutes. users: how many have a live grant there, by granted
-- time; of days and hours.
CREATE TABLE trends (
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    grants bigint NOT NULL,
    amount numeric NOT NULL,
    recorded bigint NOT NULL,
    recorded_amount numeric NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (namespace_id, level, at)
) WITH (fillfactor = 50);

-- What all scores of a namespace's `all` board came to, and of how many users, behind the last entry of a bucket by the
-- time of recording. A bucket without entries has no row: the one before it still holds.
CREATE TABLE board_sums (
    namespace_id integer NOT NULL,
    level smallint NOT NULL,
    at timestamptz NOT NULL,
    score numeric NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (namespace_id, level, at)
) WITH (fillfactor = 50);

-- The edges of a range by the time of recording: of a user, and of a namespace, whose rows lie in that order. Led by the
-- user, so that no look-up of a grant by namespace and id is ever planned through it.
CREATE INDEX ledger_recorded ON ledger (user_number, namespace_id, recorded_at) WHERE kind = 'grant';
CREATE INDEX ledger_recorded_at ON ledger USING brin (recorded_at);

-- What the ledger holds already.
INSERT INTO activity (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT l.user_number, l.namespace_id, c.level, c.at, sum(c.grants), sum(c.amount), sum(c.recorded), sum(c.recorded_amount), 0
FROM (SELECT id, known_zone(rules ->> 'timezone') AS zone FROM namespaces OFFSET 0) n
JOIN ledger l ON l.namespace_id = n.id
JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1 AND f.kind = 'grant'
CROSS JOIN LATERAL (
    SELECT day_begin(l.granted_at, n.zone) AS granted, day_begin(f.recorded_at, n.zone) AS recorded OFFSET 0) AS day
CROSS JOIN LATERAL (VALUES
    (0, day.granted, 1, l.value, 0, 0),
    (1, date_bin('1 hour', l.granted_at, day.granted), 1, l.value, 0, 0),
    (0, day.recorded, 0, 0, 1, l.value),
    (1, date_bin('1 hour', f.recorded_at, day.recorded), 0, 0, 1, l.value)
) AS c (level, at, grants, amount, recorded, recorded_amount)
WHERE l.kind IN ('grant', 'correction') AND NOT l.voided AND NOT EXISTS (
    SELECT FROM ledger x WHERE x.namespace_id = l.namespace_id AND x.grant_id = l.grant_id
    AND x.kind = 'correction' AND x.revision > l.revision)
GROUP BY l.user_number, l.namespace_id, c.level, c.at;

INSERT INTO trends (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
SELECT namespace_id, level, at, sum(grants), sum(amount), sum(recorded), sum(recorded_amount),
       count(*) FILTER (WHERE grants > 0)
FROM activity GROUP BY namespace_id, level, at;

INSERT INTO trends (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
SELECT l.namespace_id, 2, c.at, sum(c.grants), sum(c.amount), sum(c.recorded), sum(c.recorded_amount), 0
FROM (SELECT id, known_zone(rules ->> 'timezone') AS zone FROM namespaces OFFSET 0) n
JOIN ledger l ON l.namespace_id = n.id
JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1 AND f.kind = 'grant'
CROSS JOIN LATERAL (
    SELECT day_begin(l.granted_at, n.zone) AS granted, day_begin(f.recorded_at, n.zone) AS recorded OFFSET 0) AS day
CROSS JOIN LATERAL (VALUES
    (date_bin('1 minute', l.granted_at, day.granted), 1, l.value, 0, 0),
    (date_bin('1 minute', f.recorded_at, day.recorded), 0, 0, 1, l.value)
) AS c (at, grants, amount, recorded, recorded_amount)
WHERE l.kind IN ('grant', 'correction') AND NOT l.voided AND NOT EXISTS (
    SELECT FROM ledger x WHERE x.namespace_id = l.namespace_id AND x.grant_id = l.grant_id
    AND x.kind = 'correction' AND x.revision > l.revision)
GROUP BY l.namespace_id, c.at;

-- Dense hours by minutes and hundredths of a second, too.
UPDATE activity SET fine = true WHERE level = 1 AND (grants >= 256 OR recorded >= 256);

INSERT INTO activity (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT l.user_number, l.namespace_id, w.level, date_bin(w.width, c.at, c.hour), sum(c.grants), sum(c.amount),
       sum(c.recorded), sum(c.recorded_amount), 0
FROM (SELECT id, known_zone(rules ->> 'timezone') AS zone FROM namespaces OFFSET 0) n
JOIN ledger l ON l.namespace_id = n.id
JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1 AND f.kind = 'grant'
CROSS JOIN LATERAL (
    SELECT day_begin(l.granted_at, n.zone) AS granted, day_begin(f.recorded_at, n.zone) AS recorded OFFSET 0) AS day
CROSS JOIN LATERAL (VALUES
    (l.granted_at, date_bin('1 hour', l.granted_at, day.granted), 1, l.value, 0, 0),
    (f.recorded_at, date_bin('1 hour', f.recorded_at, day.recorded), 0, 0, 1, l.value)
) AS c (at, hour, grants, amount, recorded, recorded_amount)
JOIN activity a ON a.user_number = l.user_number AND a.namespace_id = l.namespace_id AND a.level = 1
     AND a.at = c.hour AND a.fine
CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS w (level, width)
WHERE l.kind IN ('grant', 'correction') AND NOT l.voided AND NOT EXISTS (
    SELECT FROM ledger x WHERE x.namespace_id = l.namespace_id AND x.grant_id = l.grant_id
    AND x.kind = 'correction' AND x.revision > l.revision)
GROUP BY 1, 2, 3, 4;

-- Who came onto the board with an entry, and who left it, shows by the score that the user's entry before it left.
INSERT INTO board_sums (namespace_id, level, at, score, users)
SELECT namespace_id, level, at, sum(sum(change)) OVER w, sum(sum(came)) OVER w
FROM (
    SELECT l.namespace_id, c.level, c.at, l.change::numeric AS change,
           (l.score IS NOT NULL)::int - (lag(l.score) OVER (
               PARTITION BY l.namespace_id, l.user_number, c.level ORDER BY l.epoch, l.seq) IS NOT NULL)::int AS came
    FROM (SELECT id, known_zone(rules ->> 'timezone') AS zone FROM namespaces OFFSET 0) n
    JOIN ledger l ON l.namespace_id = n.id
    CROSS JOIN LATERAL (SELECT day_begin(l.recorded_at, n.zone) AS at OFFSET 0) AS day
    CROSS JOIN LATERAL (VALUES (0, day.at), (1, date_bin('1 hour', l.recorded_at, day.at))) AS c (level, at)
    WHERE l.user_number IS NOT NULL) AS moved
GROUP BY namespace_id, level, at WINDOW w AS (PARTITION BY namespace_id, level ORDER BY at);
