-- name: offsets
SELECT partition, epoch, seq, digest FROM partitions;

-- name: deployment
SELECT id, partitions FROM deployment;

-- name: create_deployment
INSERT INTO deployment (id, partitions) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: create_partitions
INSERT INTO partitions (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING;

-- name: opened_partitions
SELECT partition FROM partitions WHERE opened_at IS NOT NULL;

-- name: mark_opened
UPDATE partitions SET opened_at = now() WHERE opened_at IS NULL;

-- name: namespaces
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE deleted_at IS NULL ORDER BY name;

-- name: namespace
SELECT id, name, partition, version, rules::text, reach, people, accept_future_max FROM namespaces
WHERE name = $1 AND deleted_at IS NULL;

-- name: create_namespace
-- Its audit is one statement with it, here and below: the id is drawn behind the row's lock, so ids commit in order. $4 is
-- the key that makes it. A season that was over before anybody wrote of it, by the clock of Redis ($6), is not told to
-- begin.
WITH made AS (
    INSERT INTO namespaces (name, partition, rules, created_by) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING RETURNING id, version, accept_future_max),
past AS (
    INSERT INTO seasons_opened SELECT id, s ->> 'name' FROM made, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE (s ->> 'ends')::timestamptz <= $6::timestamptz),
told AS (INSERT INTO audit (namespace_id, type, actor, body) SELECT id, 'namespace_created', $4, $5::json FROM made)
SELECT id, version, accept_future_max FROM made;

-- name: namespaces_of_key
-- How many namespaces a key made that are there, counted up to $2. O(what is counted).
SELECT count(*) AS made FROM (SELECT FROM namespaces WHERE created_by = $1 AND deleted_at IS NULL LIMIT $2) AS found;

-- name: change_namespace
-- body: null where the rules stay as they are, which is no event; reach: how far ahead a grant may lie by the old ones, as
-- it was when they were read; $8: the moment, by the clock of Redis, by which a season is over or yet to come.
WITH changed AS (
    UPDATE namespaces SET rules = $3::jsonb, partition = $4, version = nextval('rules_version'), reach = greatest(reach, $7)
    WHERE id = $1 AND version = $2 AND reach <= $7 AND deleted_at IS NULL AND (partition = $4 OR NOT people)
    RETURNING id, version, accept_future_max),
past AS (
    INSERT INTO seasons_opened SELECT id, s ->> 'name' FROM changed, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE (s ->> 'ends')::timestamptz <= $8::timestamptz
      AND NOT EXISTS (SELECT FROM namespaces n WHERE n.id = changed.id AND n.rules -> 'seasons' @> jsonb_build_array(s))
    ON CONFLICT DO NOTHING),
coming AS (
    DELETE FROM seasons_opened o USING changed, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE o.namespace_id = changed.id AND o.season = s ->> 'name' AND (s ->> 'starts')::timestamptz > $8::timestamptz),
told AS (
    INSERT INTO audit (namespace_id, type, actor, body)
    SELECT id, 'namespace_changed', $5, $6::json FROM changed WHERE $6::json IS NOT NULL)
SELECT version, accept_future_max FROM changed;

-- name: renew_namespace
-- The same rules under a new version, unless somebody changed them since they were read.
UPDATE namespaces SET version = nextval('rules_version')
WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING version;

-- name: delete_namespace
WITH deleted AS (
    UPDATE namespaces SET deleted_at = now() WHERE name = $1 AND deleted_at IS NULL
    RETURNING id, partition, nextval('rules_version') AS version),
told AS (INSERT INTO audit (namespace_id, type, actor) SELECT id, 'namespace_deleted', $2 FROM deleted),
settled AS (
    -- Its dead letters: no board is left that they could be taken off.
    UPDATE set_aside a SET healed_seq = a.seq FROM deleted d, ledger l
    WHERE a.partition = d.partition AND a.healed_seq IS NULL AND a.reason <> 'duplicate'
      AND l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq AND l.namespace_id + 0 = d.id)
SELECT id, partition, version FROM deleted;

-- name: has_rows
-- Whether the ledger holds anything of a namespace, whatever became of it. O(log n).
SELECT EXISTS (SELECT FROM ledger WHERE namespace_id = $1) AS has_rows;

-- name: rules
SELECT rules::text FROM namespaces WHERE id = $1;

-- name: rules_of
SELECT id, rules::text FROM namespaces WHERE id = ANY($1::int[]) AND deleted_at IS NULL ORDER BY id;

-- name: raise_reach
UPDATE namespaces SET reach = $2 WHERE id = $1 AND reach < $2;

-- name: next_version
SELECT nextval('rules_version') AS version;

-- name: deleted_namespace
SELECT id, partition, nextval('rules_version') AS version FROM namespaces WHERE id = $1 AND deleted_at IS NOT NULL;

-- name: create_key
INSERT INTO api_keys (id, hash, scopes) VALUES ($1, $2, $3);

-- name: keys
SELECT id, hash, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at;

-- name: revoke_key
UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- name: recorded_grants
-- What the ledger knows of grants that the seen generations may have forgotten. O(log n) each: LIMIT keeps each look-up one
-- of the whole key.
SELECT l.grant_id, l.epoch, l.seq, l.digest
FROM (SELECT DISTINCT unnest($2::text[]) AS grant_id) AS x
CROSS JOIN LATERAL (
    SELECT grant_id, epoch, seq, digest FROM ledger
    WHERE namespace_id = $1 AND grant_id = x.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS l;

-- name: grant_columns
-- No statement of its own: what lists of grants `l` of users `u` tell, with their meta `m`.
SELECT l.grant_id, u.name AS user, l.revision, l.value AS amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.recorded_at, l.voided, l.verb, l.epoch, l.seq, m.meta::text AS meta

-- name: meta_of_grant
-- No statement of its own: the meta `m` of a row `l` that may be a correction. It stands with the grant itself (`f`), of the
-- same partition. LIMIT keeps each look-up one of the whole key, whatever the planner knows of the tables by then.
LEFT JOIN LATERAL (
    SELECT epoch, seq FROM ledger
    WHERE l.kind = 'correction' AND namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
      AND kind = 'grant' LIMIT 1) AS f ON true
LEFT JOIN LATERAL (
    SELECT meta FROM grant_meta
    WHERE partition = l.partition AND epoch = coalesce(f.epoch, l.epoch) AND seq = coalesce(f.seq, l.seq) LIMIT 1) AS m ON true

-- name: history
-- A user's grants as their last revisions left them, newest first, after a keyset cursor (granted_at, seq).
-- O(log n + limit + corrections).
-- include: grant_columns
FROM (
    SELECT * FROM ledger c
    WHERE namespace_id = $1 AND kind IN ('grant', 'correction')
      AND user_number = (SELECT number FROM users WHERE name = $2)
      AND granted_at >= $3 AND (granted_at, seq) < ($4, $5::bigint)
      AND NOT EXISTS (
          SELECT FROM ledger n WHERE n.namespace_id = c.namespace_id AND n.grant_id = c.grant_id
          AND n.kind = 'correction' AND n.revision > c.revision OFFSET 0)
    ORDER BY granted_at DESC, seq DESC LIMIT $6) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant
ORDER BY l.granted_at DESC, l.seq DESC;

-- name: grants_in_quarantine
-- No statement of its own: the grants of some rows `q` of quarantine, in their order.
CROSS JOIN LATERAL (
    SELECT * FROM ledger WHERE namespace_id = $1 AND grant_id = q.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant
ORDER BY q.seq

-- name: quarantined_grants
-- Grants in quarantine about which nothing was decided, oldest first, behind a seq. O(log n + limit).
-- include: grant_columns
FROM (SELECT seq, grant_id FROM quarantined WHERE namespace_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) AS q
-- include: grants_in_quarantine
;

-- name: quarantined_of_source
-- Of these, those of one source ($4, $5).
-- include: grant_columns
FROM (SELECT seq, grant_id FROM quarantined WHERE namespace_id = $1 AND source = $4 AND source_id = $5 AND seq > $2
      ORDER BY seq LIMIT $3) AS q
-- include: grants_in_quarantine
;

-- name: grants_of_source
-- The grants of one source ($4, $5) as their last revisions left them, in the order of these, behind a seq.
-- O(log n + limit + corrections).
-- include: grant_columns
FROM (
    SELECT * FROM ledger c WHERE namespace_id = $1 AND source = $4 AND source_id = $5 AND source_id IS NOT NULL
      AND kind IN ('grant', 'correction') AND seq > $2 AND NOT EXISTS (
          SELECT FROM ledger n WHERE n.namespace_id = c.namespace_id AND n.grant_id = c.grant_id
          AND n.kind = 'correction' AND n.revision > c.revision OFFSET 0)
    ORDER BY seq LIMIT $3) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant
ORDER BY l.seq;

-- name: explain
-- A user's live grants in one window, newest first, behind a keyset cursor (granted_at, the grant's seq): where the
-- aggregation is `sum` or `latest`. The moments bound the window. O(log n + limit).
SELECT l.grant_id, $2 AS user, l.revision, l.value AS amount, l.category, l.source, l.source_id, l.action, l.session_id,
       g.granted_at, l.recorded_at, l.voided, l.verb, l.epoch, g.first_seq AS seq, m.meta::text AS meta
FROM live_grants g
CROSS JOIN LATERAL (
    SELECT * FROM ledger WHERE partition = $3 AND epoch = g.epoch AND seq = g.seq OFFSET 0) AS l
-- include: meta_of_grant
WHERE g.user_number = (SELECT number FROM users WHERE name = $2) AND g.namespace_id = $1 AND g."window" = 'all' AND g.key = 0
  AND g.granted_at >= $5 AND (g.granted_at, g.first_seq) < ($6, $7::bigint) AND l.windows @> ARRAY[$4::text]
ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT $8;

-- name: explain_best
-- The same where the aggregation is `best`: the live grants that equal the best one of the window, and that one's key.
WITH best AS MATERIALIZED (
    SELECT user_number, key FROM live_grants
    WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND "window" = $4
    ORDER BY key DESC LIMIT 1)
SELECT l.grant_id, $2 AS user, l.revision, l.value AS amount, l.category, l.source, l.source_id, l.action, l.session_id,
       g.granted_at, l.recorded_at, l.voided, l.verb, l.epoch, g.first_seq AS seq, m.meta::text AS meta
FROM live_grants g
CROSS JOIN LATERAL (
    SELECT * FROM ledger WHERE partition = $3 AND epoch = g.epoch AND seq = g.seq OFFSET 0) AS l
-- include: meta_of_grant
WHERE g.user_number = (SELECT user_number FROM best) AND g.namespace_id = $1 AND g."window" = $4
  AND g.key = (SELECT key FROM best) AND (g.granted_at, g.first_seq) < ($5, $6::bigint)
ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT $7;

-- name: drop_live
-- What corrections among the ledger's own new rows took out of the live grants: of each partition those behind the first
-- place, up to the last. O(corrections × log n).
DELETE FROM live_grants g USING (
    SELECT b.user_number, l.namespace_id, w.name,
           CASE WHEN n.best THEN n.sign * b.value ELSE 0 END AS key, b.granted_at, f.seq
    FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)
    CROSS JOIN LATERAL (
        SELECT namespace_id, grant_id, revision FROM ledger
        WHERE partition = x.p AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)
          AND kind = 'correction' OFFSET 0) AS l
    CROSS JOIN LATERAL (
        SELECT user_number, granted_at, value, windows FROM ledger
        WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = l.revision - 1
          AND kind IN ('grant', 'correction') AND NOT voided LIMIT 1) AS b
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS f
    CROSS JOIN LATERAL (
        SELECT rules ->> 'aggregation' = 'best' AS best, CASE rules ->> 'order' WHEN 'asc' THEN -1 ELSE 1 END AS sign
        FROM namespaces WHERE id = l.namespace_id LIMIT 1) AS n
    CROSS JOIN LATERAL unnest(CASE WHEN n.best THEN b.windows ELSE '{all}' END) AS w (name)) AS b
WHERE g.user_number = b.user_number AND g.namespace_id = b.namespace_id AND g."window" = b.name AND g.key = b.key
  AND g.granted_at = b.granted_at AND g.first_seq = b.seq;

-- name: add_live
-- Behind `drop_live`: the live grants among the same rows, each as the last of these rows leaves it. O(rows × log n).
INSERT INTO live_grants AS g (user_number, namespace_id, "window", key, granted_at, first_seq, epoch, seq)
SELECT l.user_number, l.namespace_id, w.name, CASE WHEN n.best THEN n.sign * l.value ELSE 0 END, l.granted_at,
       coalesce(f.seq, l.original_seq, l.seq), l.epoch, l.seq
FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)
CROSS JOIN LATERAL (
    SELECT epoch, seq, original_seq, namespace_id, grant_id, revision, kind, user_number, granted_at, value, windows FROM ledger
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
ON CONFLICT (user_number, namespace_id, "window", key, granted_at, first_seq) DO UPDATE
SET epoch = excluded.epoch, seq = excluded.seq;

-- name: past_size
-- How many live grants a namespace has, and how many of them in the days from one moment to another. O(days with grants).
SELECT coalesce(sum(grants), 0)::bigint AS grants,
       coalesce(sum(grants) FILTER (WHERE at > $2::timestamptz - interval '2 days' AND at < $3::timestamptz), 0)::bigint
           AS grants_within
FROM trends WHERE namespace_id = $1 AND level = 0;

-- name: past_board
-- A board as the log stood at a moment: every user's score by the grants and corrections recorded until then, ranked; total
-- in a row of its own where none is asked for. Among equals by their moments, where the line goes by these ($10), then by
-- name, as sorted sets list them. $11: with all who share a score with one of those. last_seq: behind it no entry moved the
-- board. O(the namespace's grants).
WITH latest AS MATERIALIZED (
    SELECT r.*, coalesce(f.seq, r.own_seq) AS first_seq
    FROM (SELECT *, coalesce(original_seq, seq) AS own_seq, max(seq) OVER () AS last_seq,
                 row_number() OVER (PARTITION BY grant_id ORDER BY revision DESC) AS place
          FROM (SELECT kind, user_number, value, granted_at, category, windows, voided, grant_id, revision, seq, original_seq
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
    SELECT user_number, CASE $5::text WHEN 'sum' THEN sum(value)::bigint WHEN 'highest' THEN max(value)
               WHEN 'lowest' THEN min(value) ELSE (array_agg(value ORDER BY granted_at DESC, first_seq DESC))[1] END AS score,
           tie_of(max(tie_key($5, value, granted_at, first_seq)) FILTER (WHERE $10::boolean)) AS tie
    FROM latest WHERE NOT EXISTS (
        SELECT FROM hidden h WHERE h.user_number = latest.user_number AND h.namespace_id IN (0, $1)) GROUP BY user_number),
ranked AS (
    SELECT u.name, u.number, s.score,
           row_number() OVER (ORDER BY s.score * $6::int DESC, s.tie, u.name COLLATE "C" DESC) AS position,
           rank() OVER (ORDER BY s.score * $6::int DESC) AS competition,
           dense_rank() OVER (ORDER BY s.score * $6::int DESC) AS dense
    FROM scores s JOIN users u ON u.number = s.user_number)
SELECT t.total, t.last_seq, r.name, r.number, r.score, r.position, r.competition, r.dense
FROM (SELECT (SELECT count(*) FROM scores) AS total, (SELECT max(last_seq) FROM latest) AS last_seq) AS t
LEFT JOIN (
    SELECT *, bool_or(asked) OVER (PARTITION BY competition) AS ties FROM (
        SELECT *, coalesce(name = ANY($9::text[]), position BETWEEN $7 AND $8) AS asked FROM ranked) AS a) AS r
  ON r.asked OR (r.ties AND $11::boolean)
ORDER BY r.position;

-- name: activity
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
    SELECT FROM standings WHERE user_number = u.number AND namespace_id = $1 AND "window" = 'all' OFFSET 0) AS known
CROSS JOIN LATERAL (
    SELECT (SELECT min(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS first_hour,
           (SELECT max(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS last_hour,
           (SELECT min(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS first_day,
           (SELECT max(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS last_day
    OFFSET 0) AS e
CROSS JOIN LATERAL (
    SELECT least(e.first_hour, $3) AS low_until,
           CASE WHEN e.last_hour + interval '1 hour' > $3 AND e.last_day > e.last_hour IS NOT TRUE THEN e.last_hour
                ELSE $3 END AS high_since OFFSET 0) AS edge
LEFT JOIN LATERAL (
    SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
           CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
    FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 0 AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 1 AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
      AND a.level = 1 AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    FROM (VALUES ($2, edge.low_until), (edge.high_since, $3)) AS hour (since, until)
    CROSS JOIN LATERAL (
        SELECT (SELECT min(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
              AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS first_minute,
               (SELECT max(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
                     AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS last_minute,
               (SELECT min(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
                     AND a.level = 3 AND a.at >= hour.since AND a.at < hour.until) AS first_hundredth,
               (SELECT max(at) FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
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
        FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 2 AND a.at >= hour.since AND a.at < inner_edge.minutes
        UNION ALL
        SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
        FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 3 AND a.at >= hour.since AND a.at < least(i.first_minute, inner_edge.high_since)
        UNION ALL
        SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
        FROM activity a WHERE a.user_number = u.number AND a.namespace_id = $1
          AND a.level = 3 AND a.at >= inner_edge.minutes AND a.at < inner_edge.high_since AND i.first_minute IS NOT NULL
        UNION ALL
        SELECT 1, l.value
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, value FROM ledger l
            WHERE l.namespace_id = $1 AND l.user_number = u.number
              AND l.granted_at >= cut.since AND l.granted_at < cut.until
              AND l.kind IN ('grant', 'correction') AND NOT l.voided AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        WHERE NOT $4 AND NOT EXISTS (
            SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
            AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= (SELECT seq FROM as_of) OFFSET 0)
        UNION ALL
        SELECT 1, r.value
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.namespace_id = $1 AND l.user_number = u.number
              AND l.recorded_at >= cut.since AND l.recorded_at < cut.until
              AND l.kind = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        CROSS JOIN LATERAL (
            SELECT value, voided FROM ledger WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id
            AND kind IN ('grant', 'correction') AND seq <= (SELECT seq FROM as_of) ORDER BY revision DESC LIMIT 1) AS r
        WHERE $4 AND NOT r.voided) AS f
) AS p ON true
WHERE u.name = ANY($5::text[]) GROUP BY u.name;

-- name: activity_of_all
-- The same of a namespace as a whole: days, hours, minutes, and the grants of the two minutes that the bounds cut: these
-- by the indexes of times alone (+ 0 and || '' keep others away).
WITH as_of AS MATERIALIZED (
    SELECT p.counted_seq AS seq FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1)
SELECT coalesce(sum(p.grants), 0)::bigint AS grants, coalesce(sum(p.amount), 0) AS amount
FROM (SELECT) AS whole
CROSS JOIN LATERAL (
    SELECT (SELECT min(at) FROM trends a WHERE a.namespace_id = $1
          AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS first_hour,
           (SELECT max(at) FROM trends a WHERE a.namespace_id = $1
                 AND a.level = 1 AND a.at >= $2 AND a.at < $3) AS last_hour,
           (SELECT min(at) FROM trends a WHERE a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS first_day,
           (SELECT max(at) FROM trends a WHERE a.namespace_id = $1
                 AND a.level = 0 AND a.at >= $2 AND a.at < $3) AS last_day
    OFFSET 0) AS e
CROSS JOIN LATERAL (
    SELECT least(e.first_hour, $3) AS low_until,
           CASE WHEN e.last_hour + interval '1 hour' > $3 AND e.last_day > e.last_hour IS NOT TRUE THEN e.last_hour
                ELSE $3 END AS high_since OFFSET 0) AS edge
LEFT JOIN LATERAL (
    SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
           CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
    FROM trends a WHERE a.namespace_id = $1 AND a.level = 0 AND a.at >= e.first_day AND a.at < e.last_day
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM trends a WHERE a.namespace_id = $1
      AND a.level = 1 AND a.at >= $2 AND a.at < least(e.first_day, edge.high_since)
    UNION ALL
    SELECT CASE WHEN $4 THEN a.recorded ELSE a.grants END, CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END
    FROM trends a WHERE a.namespace_id = $1 AND a.level = 1 AND a.at >= e.last_day AND a.at < edge.high_since
    UNION ALL
    SELECT f.grants, f.amount
    FROM (VALUES ($2, edge.low_until), (edge.high_since, $3)) AS hour (since, until)
    CROSS JOIN LATERAL (
        SELECT (SELECT min(at) FROM trends a WHERE a.namespace_id = $1
              AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS first_minute,
               (SELECT max(at) FROM trends a WHERE a.namespace_id = $1
                     AND a.level = 2 AND a.at >= hour.since AND a.at < hour.until) AS last_minute
        OFFSET 0) AS i
    CROSS JOIN LATERAL (
        SELECT least(i.first_minute, hour.until) AS low_until,
               CASE WHEN i.last_minute + interval '1 minute' > hour.until THEN i.last_minute ELSE hour.until END
                   AS high_since OFFSET 0) AS inner_edge
    CROSS JOIN LATERAL (
        SELECT CASE WHEN $4::boolean THEN a.recorded ELSE a.grants END AS grants,
               CASE WHEN $4 THEN a.recorded_amount ELSE a.amount END AS amount
        FROM trends a WHERE a.namespace_id = $1 AND a.level = 2 AND a.at >= hour.since AND a.at < inner_edge.high_since
        UNION ALL
        SELECT 1, l.value
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id, revision, value FROM ledger l
            WHERE l.namespace_id + 0 = $1 AND l.granted_at >= cut.since AND l.granted_at < cut.until
              AND l.kind IN ('grant', 'correction') AND NOT l.voided AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        WHERE NOT $4 AND NOT EXISTS (
            SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
            AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= (SELECT seq FROM as_of) OFFSET 0)
        UNION ALL
        SELECT 1, r.value
        FROM (VALUES (hour.since, inner_edge.low_until), (inner_edge.high_since, hour.until)) AS cut (since, until)
        CROSS JOIN LATERAL (
            SELECT namespace_id, grant_id FROM ledger l
            WHERE l.namespace_id + 0 = $1 AND l.recorded_at >= cut.since AND l.recorded_at < cut.until
              AND l.kind || '' = 'grant' AND l.seq + 0 <= (SELECT seq FROM as_of) OFFSET 0) AS l
        CROSS JOIN LATERAL (
            SELECT value, voided FROM ledger WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id
            AND kind IN ('grant', 'correction') AND seq <= (SELECT seq FROM as_of) ORDER BY revision DESC LIMIT 1) AS r
        WHERE $4 AND NOT r.voided) AS f
) AS p ON true;

-- name: trends
-- Buckets with live grants by granted time, oldest first; the board's scores as the bucket's end found them, by the time of
-- recording. O(limit × log n).
SELECT t.at, t.grants, t.amount, t.users, b.score, b.users AS scores
FROM trends t
LEFT JOIN LATERAL (
    SELECT score, users FROM board_sums WHERE namespace_id = t.namespace_id AND level = t.level AND at <= t.at
    ORDER BY at DESC LIMIT 1) AS b ON true
WHERE t.namespace_id = $1 AND t.level = $2 AND t.at >= $3 AND t.at < $4 AND t.grants > 0 ORDER BY t.at LIMIT $5;

-- name: revisions
-- A grant and its corrections, in order.
SELECT l.grant_id, u.name AS user, l.revision, l.value AS amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.recorded_at, l.voided, l.epoch, l.seq, l.verb, l.reason, l.actor,
       m.meta::text AS meta
FROM ledger l
JOIN users u ON u.number = l.user_number
LEFT JOIN grant_meta m ON m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq
WHERE l.namespace_id = $1 AND l.grant_id = $2 AND l.kind IN ('grant', 'correction')
ORDER BY l.revision;

-- name: held
-- Grants as their last revisions left them; `first_seq` is the seq of the grant itself.
SELECT DISTINCT ON (l.grant_id) l.grant_id, u.name AS user, l.revision, l.value AS amount, l.category, l.source, l.source_id, l.action,
       l.session_id, l.granted_at, l.windows, l.voided, l.verb, l.day, f.seq AS first_seq
FROM ledger l
JOIN users u ON u.number = l.user_number
CROSS JOIN LATERAL (
    SELECT seq FROM ledger WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1 AND kind = 'grant'
    LIMIT 1) AS f
WHERE l.namespace_id = $1 AND l.grant_id = ANY($2::text[]) AND l.kind IN ('grant', 'correction')
ORDER BY l.grant_id, l.revision DESC;

-- name: keyed
-- What corrections with these Idempotency-Keys did. O(log n) each.
SELECT l.key, l.grant_id, l.revision, l.asked
FROM (SELECT DISTINCT unnest($2::text[]) AS key) AS x
CROSS JOIN LATERAL (
    SELECT key, grant_id, revision, asked, seq FROM ledger
    WHERE namespace_id = $1 AND key = x.key AND kind = 'correction' OFFSET 0) AS l
ORDER BY l.seq;

-- name: cells_of_live
-- No statement of its own: what some live grants (`live`) make of each of the cells $4. tie: where the line goes by moments,
-- the place of the score that is made so ($6), else null.
cells AS (
    SELECT unnest(windows) AS cell, * FROM live
    UNION ALL SELECT unnest(windows) || ':' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 'c:' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 's:' || source, * FROM live WHERE source IS NOT NULL
    UNION ALL SELECT 'd:' || day, * FROM live WHERE day IS NOT NULL)
SELECT cell, max(value) AS highest, min(value) AS lowest,
       (array_agg(value ORDER BY granted_at DESC, seq DESC))[1] AS latest,
       (extract(epoch FROM max(granted_at)) * 1000000)::bigint AS latest_at,
       (array_agg(seq ORDER BY granted_at DESC, seq DESC))[1] AS latest_seq,
       CASE WHEN $6::text IS NOT NULL
            THEN tie_of(max(tie_key($6, value, granted_at, seq)) FILTER (WHERE $6 IS NOT NULL)) END AS tie
FROM cells WHERE cell = ANY($4::text[]) GROUP BY cell;

-- name: live_of_rows
-- No statement of its own: the live grants among rows `l`, but for those of some ids ($3). A duplicate that is not taken
-- back and an open dead letter are one more grant, but for those of some seqs ($5). LIMIT and OFFSET keep each look-up one of
-- the whole key, also while nothing is known yet of how large the ledger is.
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
          AND kind = CASE WHEN l.kind IN ('duplicate', 'tombstone') THEN l.kind ELSE 'grant' END LIMIT 1) AS f
    WHERE CASE l.kind WHEN 'duplicate' THEN l.seq <> ALL($5::bigint[]) AND NOT EXISTS (
              SELECT FROM ledger h WHERE h.namespace_id = l.namespace_id AND h.kind = 'heal' AND h.revision = 1
              AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq OFFSET 0)
          WHEN 'tombstone' THEN l.revision = 1 AND l.value IS NOT NULL AND l.seq <> ALL($5::bigint[]) AND EXISTS (
              SELECT FROM set_aside a WHERE a.partition = l.partition AND a.epoch = l.epoch AND a.seq = l.seq
              AND a.healed_seq IS NULL OFFSET 0)
          ELSE l.grant_id <> ALL($3::text[]) AND NOT EXISTS (
              SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
              AND c.kind = 'correction' AND c.revision > l.revision OFFSET 0) END

-- name: has_many_rows
-- Whether the ledger holds more than $3 rows of a user in a namespace. O(what is counted).
SELECT count(*) > $3::int AS has_many FROM (
    SELECT FROM ledger WHERE namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)
    LIMIT $3::int + 1) AS rows;

-- name: other_cells
-- What a user's live grants other than some make of each window and label asked for; a duplicate that is not taken back
-- and an open dead letter are one more grant, but for those of some seqs ($5). tie: where the line goes by moments, the
-- place of the score that is made so ($6), else null. $7: as the log stood at a seq, but without what was taken off the
-- boards since; null: as it stands. O(the user's grants): LIMIT and OFFSET keep each look-up one of the whole key, also
-- while nothing is known yet of how large the ledger is.
WITH live AS (
    SELECT l.value, l.granted_at, l.category, l.source, l.windows, l.day, f.seq
    FROM ledger l
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
          AND kind = CASE WHEN l.kind IN ('duplicate', 'tombstone') THEN l.kind ELSE 'grant' END LIMIT 1) AS f
    WHERE l.namespace_id = $1 AND l.user_number = (SELECT number FROM users WHERE name = $2)
      AND l.kind IN ('grant', 'correction', 'duplicate', 'tombstone') AND NOT l.voided
      AND ($7::bigint IS NULL OR coalesce(l.original_seq, l.seq) <= $7)
      AND CASE l.kind WHEN 'duplicate' THEN l.seq <> ALL($5::bigint[]) AND NOT EXISTS (
              SELECT FROM ledger h WHERE h.namespace_id = l.namespace_id AND h.kind = 'heal' AND h.revision = 1
              AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq OFFSET 0)
          WHEN 'tombstone' THEN l.revision = 1 AND l.value IS NOT NULL AND l.seq <> ALL($5::bigint[]) AND EXISTS (
              SELECT FROM set_aside a WHERE a.partition = l.partition AND a.epoch = l.epoch AND a.seq = l.seq
              AND a.healed_seq IS NULL OFFSET 0)
          ELSE l.grant_id <> ALL($3::text[]) AND NOT EXISTS (
              SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
              AND c.kind = 'correction' AND c.revision > l.revision
              AND ($7::bigint IS NULL OR coalesce(c.original_seq, c.seq) <= $7) OFFSET 0) END),
cells AS (
    SELECT unnest(windows) AS cell, * FROM live
    UNION ALL SELECT unnest(windows) || ':' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 'c:' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 's:' || source, * FROM live WHERE source IS NOT NULL
    UNION ALL SELECT 'd:' || day, * FROM live WHERE day IS NOT NULL)
SELECT cell, max(value) AS highest, min(value) AS lowest,
       (array_agg(value ORDER BY granted_at DESC, seq DESC))[1] AS latest, (extract(epoch FROM max(granted_at)) * 1000000)::bigint AS latest_at,
       (array_agg(seq ORDER BY granted_at DESC, seq DESC))[1] AS latest_seq,
       CASE WHEN $6::text IS NOT NULL
            THEN tie_of(max(tie_key($6, value, granted_at, seq)) FILTER (WHERE $6 IS NOT NULL)) END AS tie
FROM cells WHERE cell = ANY($4::text[]) GROUP BY cell;

-- name: recent_cells
-- Of these the grants that the live grants' own table does not hold: those behind the place up to which the partition ($7)
-- is counted, duplicates and open dead letters. O(rows behind that place + open ones of the partition).
WITH live AS (
    SELECT l.value, l.granted_at, l.category, l.source, l.windows, l.day, f.seq
    FROM (
        SELECT t.* FROM (
            SELECT p.partition, e.epoch, p.counted_seq FROM partitions p
            CROSS JOIN generate_series(p.counted_epoch, p.epoch) AS e (epoch) WHERE p.partition = $7) AS p
        CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE partition = p.partition AND epoch = p.epoch AND seq > p.counted_seq
              AND namespace_id + 0 = $1 AND user_number + 0 = (SELECT number FROM users WHERE name = $2)
              AND kind || '' IN ('grant', 'correction') AND NOT voided OFFSET 0) AS t
        UNION ALL
        SELECT o.* FROM set_aside a CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE partition = a.partition AND epoch = a.epoch AND seq = a.seq OFFSET 0) AS o
        WHERE a.partition = $7 AND a.healed_seq IS NULL AND o.namespace_id = $1
          AND o.user_number = (SELECT number FROM users WHERE name = $2) AND o.kind IN ('duplicate', 'tombstone')
          AND NOT o.voided) AS l
    -- include: live_of_rows
),
-- include: cells_of_live

-- name: wanted_of_cells
-- No statement of its own: the cells asked for, each with what a grant in it has: window, category, source and day, null
-- where any will do, and the moments (µs) that bound it.
    FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::date[], $9::bigint[], $10::bigint[])
        AS w (cell, "window", category, source, day, since, until)
    CROSS JOIN LATERAL (
        SELECT 'epoch'::timestamptz + w.since * interval '1 microsecond' AS since,
               'epoch'::timestamptz + w.until * interval '1 microsecond' AS until OFFSET 0) AS x

-- name: grant_of_live
-- No statement of its own: the row `l` of a live grant `g` that is in a cell `w`, and still its last revision, but for grants
-- of some ids ($3).
    CROSS JOIN LATERAL (
        SELECT grant_id, revision, value, windows, category, source, day FROM ledger
        WHERE partition = $12 AND epoch = g.epoch AND seq = g.seq OFFSET 0) AS l
    WHERE (w."window" IS NULL OR l.windows @> ARRAY[w."window"]) AND (w.category IS NULL OR l.category = w.category)
      AND (w.source IS NULL OR l.source = w.source) AND (w.day IS NULL OR l.day = w.day) AND l.grant_id <> ALL($3::text[])
      AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.namespace_id = $1 AND c.grant_id = l.grant_id AND c.kind = 'correction'
          AND c.revision > l.revision OFFSET 0)

-- name: cells_by_amount
-- The best of a user's live grants in each cell, where the aggregation is `best`; a cell is left out where none is among
-- the best $13 of its window. $11: whether the place in line is wanted, that of the earliest among equals.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, b.value AS highest, b.value AS lowest, b.value AS latest,
       (extract(epoch FROM e.granted_at) * 1000000)::bigint AS latest_at, e.first_seq AS latest_seq,
       CASE WHEN $11::text IS NOT NULL THEN tie_place(e.granted_at, e.first_seq) END AS tie
-- include: wanted_of_cells
CROSS JOIN LATERAL (
    SELECT l.value, g.key, g.granted_at, g.first_seq
    FROM (SELECT key, granted_at, first_seq, epoch, seq FROM live_grants
          WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1
            AND "window" = coalesce(w."window", 'all')
          ORDER BY key DESC, granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.key DESC, g.granted_at DESC, g.first_seq DESC LIMIT 1) AS b
CROSS JOIN LATERAL (
    SELECT b.granted_at, b.first_seq WHERE $11::text IS NULL
    UNION ALL (
    SELECT g.granted_at, g.first_seq
    FROM (SELECT granted_at, first_seq, epoch, seq FROM live_grants
          WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1
            AND "window" = coalesce(w."window", 'all') AND key = b.key AND $11::text IS NOT NULL
          ORDER BY granted_at, first_seq LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.granted_at, g.first_seq LIMIT 1)) AS e;

-- name: cells_by_moment
-- The latest of a user's live grants in each cell, where the aggregation is `sum` or `latest`; a cell is left out where none
-- is among the last $13 of its stretch. tie: of a sum ($11) that of the latest grant that is not 0.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, b.value AS highest, b.value AS lowest, b.value AS latest,
       (extract(epoch FROM b.granted_at) * 1000000)::bigint AS latest_at, b.first_seq AS latest_seq,
       CASE WHEN $11::text IS NOT NULL THEN tie_place(t.granted_at, t.first_seq) END AS tie
-- include: wanted_of_cells
CROSS JOIN LATERAL (
    SELECT l.value, g.granted_at, g.first_seq
    FROM (SELECT granted_at, first_seq, epoch, seq FROM live_grants
          WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND "window" = 'all'
            AND key = 0 AND granted_at >= x.since AND granted_at < x.until
          ORDER BY granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT 1) AS b
LEFT JOIN LATERAL (
    SELECT g.granted_at, g.first_seq
    FROM (SELECT granted_at, first_seq, epoch, seq FROM live_grants
          WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND "window" = 'all'
            AND key = 0 AND granted_at >= x.since AND granted_at < x.until AND $11::text IS NOT NULL
          ORDER BY granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
      AND ($11::text <> 'sum' OR l.value <> 0)
    ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT 1) AS t ON true;

-- name: last_moments
-- When the last of a user's live grants in each cell was, where the live grants are not in that order; a cell is left
-- out where none is among the last $11 rows of its stretch. Behind the last hour with live grants none is looked for.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, l.value AS highest, l.value AS lowest, l.value AS latest,
       (extract(epoch FROM l.granted_at) * 1000000)::bigint AS latest_at, 0::bigint AS latest_seq, NULL::numeric AS tie
-- include: wanted_of_cells
CROSS JOIN LATERAL (
    SELECT least(x.until, (
        SELECT at + interval '1 hour' FROM activity
        WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND level = 1 AND at < x.until
          AND grants > 0 ORDER BY at DESC LIMIT 1)) AS until OFFSET 0) AS h
CROSS JOIN LATERAL (
    SELECT r.value, r.granted_at
    FROM (SELECT value, granted_at, seq, kind, voided, windows, category, source, day, grant_id, revision FROM ledger
          WHERE namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)
            AND granted_at >= x.since AND granted_at < h.until
          ORDER BY granted_at DESC, seq DESC LIMIT $11::int) AS r
    WHERE r.kind IN ('grant', 'correction') AND NOT r.voided AND (w."window" IS NULL OR r.windows @> ARRAY[w."window"])
      AND (w.category IS NULL OR r.category = w.category) AND (w.source IS NULL OR r.source = w.source)
      AND (w.day IS NULL OR r.day = w.day) AND r.grant_id <> ALL($3::text[])
      AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.namespace_id = $1 AND c.grant_id = r.grant_id AND c.kind = 'correction'
          AND c.revision > r.revision OFFSET 0)
    ORDER BY r.granted_at DESC, r.seq DESC LIMIT 1) AS l;

-- name: sparse_cells
-- The same of cells whose grants are few, or lie deep: out of all rows of the stretch of the cells, of which those that come
-- first are looked at until one is live. $11: how scores count; $12: whether places in line are wanted.
-- O(the user's rows in that stretch).
WITH rows AS MATERIALIZED (
    SELECT l.value, l.granted_at, l.category, l.source, l.windows, l.day, l.grant_id, l.revision,
           coalesce(f.seq, l.own_seq) AS seq,
           CASE $11::text WHEN 'highest' THEN l.value WHEN 'lowest' THEN -l.value ELSE 0 END AS key
    FROM (SELECT kind, value, granted_at, category, source, windows, day, grant_id, revision,
                 coalesce(original_seq, seq) AS own_seq
          FROM ledger
          WHERE namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)
            AND granted_at >= 'epoch'::timestamptz + (SELECT min(since) FROM unnest($9::bigint[]) AS since)
                * interval '1 microsecond'
            AND granted_at < 'epoch'::timestamptz + (SELECT max(until) FROM unnest($10::bigint[]) AS until)
                * interval '1 microsecond'
            AND kind IN ('grant', 'correction') AND NOT voided AND grant_id <> ALL($3::text[])
            AND (windows && ARRAY(SELECT "window" FROM unnest($5::text[], $6::text[]) AS c ("window", category)
                                  WHERE category IS NULL AND "window" IS NOT NULL) OR category = ANY($6::text[]) OR source = ANY($7::text[]) OR day = ANY($8::date[]))
          OFFSET 0) AS l
    LEFT JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE l.kind = 'correction' AND namespace_id = $1 AND grant_id = l.grant_id AND revision = 1 AND kind = 'grant'
        LIMIT 1) AS f ON true)
SELECT w.cell, b.value AS highest, b.value AS lowest, m.value AS latest,
       (extract(epoch FROM m.granted_at) * 1000000)::bigint AS latest_at, m.seq AS latest_seq,
       CASE WHEN $12::boolean THEN CASE $11::text
            WHEN 'sum' THEN coalesce(t.place, 0) WHEN 'latest' THEN tie_place(m.granted_at, m.seq)
            ELSE tie_place(b.granted_at, b.seq) END END AS tie
-- include: wanted_of_cells
CROSS JOIN LATERAL (
    SELECT r.value, r.granted_at, r.seq
    FROM (SELECT * FROM rows r
          -- include: in_cell
          ORDER BY key DESC, granted_at, seq OFFSET 0) AS r
    -- include: is_last_revision
    LIMIT 1) AS b
CROSS JOIN LATERAL (
    SELECT r.value, r.granted_at, r.seq
    FROM (SELECT * FROM rows r
          -- include: in_cell
          ORDER BY granted_at DESC, seq DESC OFFSET 0) AS r
    -- include: is_last_revision
    LIMIT 1) AS m
LEFT JOIN LATERAL (
    SELECT tie_place(r.granted_at, r.seq) AS place
    FROM (SELECT * FROM rows r
          -- include: in_cell
            AND value <> 0 AND $12::boolean AND $11::text = 'sum'
          ORDER BY granted_at DESC, seq DESC OFFSET 0) AS r
    -- include: is_last_revision
    LIMIT 1) AS t ON true;

-- name: in_cell
-- No statement of its own: that a row `r` is in a cell `w`.
          WHERE (w."window" IS NULL OR r.windows @> ARRAY[w."window"]) AND (w.category IS NULL OR r.category = w.category)
            AND (w.source IS NULL OR r.source = w.source) AND (w.day IS NULL OR r.day = w.day)
            AND r.granted_at >= x.since AND r.granted_at < x.until

-- name: is_last_revision
-- No statement of its own: that a row `r` is the last revision of its grant.
    WHERE NOT EXISTS (
        SELECT FROM ledger c WHERE c.namespace_id = $1 AND c.grant_id = r.grant_id AND c.kind = 'correction'
        AND c.revision > r.revision OFFSET 0)

-- name: seals_in_redis
-- Which of some windows are closed while their boards are still in Redis, and the seqs of their seals. O(windows).
SELECT "window", seq FROM seals WHERE namespace_id = $1 AND "window" = ANY($2::text[]) AND archived_at IS NULL;

-- name: offset
SELECT epoch, seq, digest, opened_at FROM partitions WHERE partition = $1;

-- name: advance
-- Conditional on what was read, and on that no other persister ($7 is this one) holds the partition: one that wakes up late
-- changes nothing. From here to the commit nobody can take it.
WITH lease AS (SELECT holder FROM leases WHERE partition = $1 FOR SHARE)
UPDATE partitions SET epoch = $4, seq = $5, digest = $6 WHERE partition = $1 AND epoch = $2 AND seq = $3
AND NOT EXISTS (SELECT FROM lease WHERE holder <> $7);

-- name: register_persister
INSERT INTO persisters DEFAULT VALUES RETURNING number;

-- name: make_leases
INSERT INTO leases (partition) SELECT partition FROM partitions ON CONFLICT DO NOTHING;

-- name: drop_persisters
-- Those that were last heard of long ago. O(them).
DELETE FROM persisters WHERE beat_at < clock_timestamp() - interval '1 day';

-- name: beat
UPDATE persisters SET beat_at = clock_timestamp() WHERE number = $1 RETURNING number;

-- name: persisters
-- Persisters that are connected, each with whether it was heard of in the last $2 seconds. $1: the class of the advisory locks by
-- which a session tells that it is there.
SELECT number, beat_at > clock_timestamp() - make_interval(secs => $2) AS is_live FROM persisters
WHERE number IN (
    SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()));

-- name: end_persister
-- Ends the sessions of a persister that hangs: their locks and half-done transactions go.
SELECT pg_terminate_backend(pid) FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1 AND objid = $2::int::oid AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database());

-- name: held_leases
SELECT partition FROM leases WHERE holder = $1;

-- name: take_leases
-- At most $3 of some partitions that no other live persister (as `persisters` tells it: $4, $5) holds. One that is just being
-- written waits for another time.
WITH free AS (
    SELECT partition FROM leases
    WHERE partition = ANY($2::smallint[]) AND (holder IS NULL OR holder = $1 OR holder <> ALL(ARRAY(
        SELECT number FROM persisters WHERE beat_at > clock_timestamp() - make_interval(secs => $5) AND number IN (
            SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $4 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))))
    ORDER BY partition LIMIT $3 FOR UPDATE SKIP LOCKED)
UPDATE leases l SET holder = $1, taken_at = clock_timestamp() FROM free WHERE l.partition = free.partition
RETURNING l.partition;

-- name: release_leases
-- Those that are just being written are released another time.
WITH own AS (
    SELECT partition FROM leases WHERE holder = $1 AND partition = ANY($2::smallint[]) FOR UPDATE SKIP LOCKED)
UPDATE leases l SET holder = NULL FROM own WHERE l.partition = own.partition RETURNING l.partition;

-- name: fence
-- The last statement of a transaction of a persister ($2) that may only hold while it holds the partition: nobody takes it
-- between this and the commit.
SELECT FROM leases WHERE partition = $1 AND holder = $2 FOR SHARE;

-- name: new_users
INSERT INTO users (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING;

-- name: user_numbers
SELECT name, number FROM users WHERE name = ANY($1::text[]);

-- name: add_standings
-- What the ledger's own new rows add to the standings: of each partition those behind the first place, up to the last.
-- Not MERGE, which is a sixth cheaper but leaves it to the planner by which index it meets the standings.
-- Tells who has their first entry in a namespace by it.
WITH added AS (
INSERT INTO standings AS s (namespace_id, "window", user_number, score, grants, last_granted_at)
SELECT l.namespace_id, 'all', l.user_number, sum(l.change)::bigint, sum(l.weight), max(l.granted_at)
FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)
CROSS JOIN LATERAL (
    SELECT namespace_id, user_number, change, weight, granted_at FROM ledger
    WHERE partition = x.p AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)
      AND user_number IS NOT NULL) AS l
GROUP BY l.user_number, l.namespace_id
ORDER BY l.user_number, l.namespace_id
ON CONFLICT (user_number, namespace_id, "window") DO UPDATE
SET score = s.score + excluded.score, grants = s.grants + excluded.grants,
    last_granted_at = greatest(s.last_granted_at, excluded.last_granted_at)
RETURNING s.namespace_id, s.user_number, s.xmax = 0 AS is_new)
SELECT namespace_id, user_number FROM added WHERE is_new;

-- name: moves
-- No statement of its own: what `add_activity`, `add_fine` and `unknown_days` begin with. What the ledger's own new rows put into the counts
-- by time and take out, of each partition those behind the first place up to the last, and where. A correction takes out
-- what the revision before it put in. No join meets the rows twice, so no plan can go wrong on a young table.
WITH fresh AS MATERIALIZED (
    SELECT l.* FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[])
                    AS x (p, epoch, seq, last_epoch, last_seq)
    CROSS JOIN LATERAL (
        SELECT namespace_id, user_number, kind, grant_id, revision, granted_at, recorded_at, value, voided FROM ledger
        WHERE partition = x.p AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)
          AND kind IN ('grant', 'correction')) AS l),
zones AS MATERIALIZED (
    SELECT id, coalesce(rules ->> 'timezone', 'UTC') AS zone FROM namespaces
    WHERE id = ANY(ARRAY(SELECT DISTINCT namespace_id FROM fresh))),
moves AS (
    SELECT namespace_id, user_number, granted_at, recorded_at, 1 AS n, value FROM fresh WHERE kind = 'grant' AND NOT voided
    UNION ALL
    SELECT c.namespace_id, c.user_number, m.granted_at, f.recorded_at, m.n, m.n * m.value
    FROM fresh c
    CROSS JOIN LATERAL (
        SELECT recorded_at FROM ledger
        WHERE namespace_id = c.namespace_id AND grant_id = c.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS f
    CROSS JOIN LATERAL (
        SELECT granted_at, value, voided FROM ledger
        WHERE namespace_id = c.namespace_id AND grant_id = c.grant_id AND revision = c.revision - 1
          AND kind IN ('grant', 'correction') LIMIT 1) AS b
    CROSS JOIN LATERAL (VALUES (c.granted_at, 1, c.value, c.voided), (b.granted_at, -1, b.value, b.voided))
        AS m (granted_at, n, value, voided)
    WHERE c.kind = 'correction' AND NOT m.voided),
placed AS MATERIALIZED (
    SELECT m.user_number, m.namespace_id, m.n, m.value, m.granted_at, m.recorded_at, day.granted AS granted_day,
           day.recorded AS recorded_day, date_bin('1 hour', m.granted_at, day.granted) AS granted_hour,
           date_bin('1 hour', m.recorded_at, day.recorded) AS recorded_hour
    FROM moves m JOIN zones z ON z.id = m.namespace_id
    CROSS JOIN LATERAL (
        SELECT CASE z.zone WHEN 'UTC' THEN date_trunc('day', m.granted_at, 'UTC') ELSE (
                   SELECT CASE WHEN m.granted_at < ends THEN starts END FROM zone_days
                   WHERE zone = z.zone AND starts <= m.granted_at ORDER BY starts DESC LIMIT 1) END AS granted,
               CASE z.zone WHEN 'UTC' THEN date_trunc('day', m.recorded_at, 'UTC') ELSE (
                   SELECT CASE WHEN m.recorded_at < ends THEN starts END FROM zone_days
                   WHERE zone = z.zone AND starts <= m.recorded_at ORDER BY starts DESC LIMIT 1) END AS recorded
        OFFSET 0) AS day)

-- name: unknown_days
-- Behind `moves`: the days of UTC, by zone, in which moments lie whose local day is not known yet. O(rows × log n).
SELECT DISTINCT z.zone, (x.at AT TIME ZONE 'UTC')::date AS day
FROM moves m JOIN zones z ON z.id = m.namespace_id AND z.zone <> 'UTC'
CROSS JOIN LATERAL (VALUES (m.granted_at), (m.recorded_at)) AS x (at)
WHERE (SELECT x.at < ends FROM zone_days WHERE zone = z.zone AND starts <= x.at ORDER BY starts DESC LIMIT 1) IS NOT TRUE;

-- name: add_zone_days
-- Bounds are microseconds since 1970.
INSERT INTO zone_days (zone, starts, ends)
SELECT zone, '1970-01-01Z'::timestamptz + starts * interval '1 microsecond',
       '1970-01-01Z'::timestamptz + ends * interval '1 microsecond'
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS x (zone, starts, ends) ON CONFLICT DO NOTHING;

-- name: uncounted
-- How far a partition is counted by time, and how far it is to be counted next: $2 rows at most, whatever their epochs.
SELECT p.partition, p.counted_epoch, p.counted_seq, l.epoch, l.seq
FROM partitions p CROSS JOIN generate_series(p.counted_epoch, p.epoch) AS e (epoch)
CROSS JOIN LATERAL (
    SELECT epoch, seq FROM ledger
    WHERE partition = p.partition AND epoch = e.epoch AND seq > p.counted_seq AND seq <= p.counted_seq + $2::bigint
    ORDER BY seq DESC LIMIT 1) AS l
WHERE p.partition = $1 AND p.counted_seq < p.seq ORDER BY l.seq DESC LIMIT 1;

-- name: mark_counted
-- Conditional on what was read: two that count the same rows count them once.
UPDATE partitions SET counted_epoch = $4, counted_seq = $5
WHERE partition = $1 AND counted_epoch = $2 AND counted_seq = $3 RETURNING partition;

-- name: counted
-- Up to where a partition is counted by time.
SELECT counted_epoch AS epoch, counted_seq AS seq FROM partitions WHERE partition = $1;

-- name: add_activity
-- Behind `moves`: days and hours of users and, with minutes, of namespaces. Users who come into a bucket or leave it are
-- told by their rows. Answers the hours that are counted finer, and those that are dense from now on. O(rows × log n).
, cells AS MATERIALIZED (
    SELECT p.user_number, p.namespace_id, c.level, c.at, sum(c.grants) AS grants, sum(c.amount) AS amount,
           sum(c.recorded) AS recorded, sum(c.recorded_amount) AS recorded_amount
    FROM placed p
    CROSS JOIN LATERAL (VALUES
        (0, p.granted_day, p.n, p.value, 0, 0), (1, p.granted_hour, p.n, p.value, 0, 0),
        (0, p.recorded_day, 0, 0, p.n, p.value), (1, p.recorded_hour, 0, 0, p.n, p.value)
    ) AS c (level, at, grants, amount, recorded, recorded_amount)
    GROUP BY p.user_number, p.namespace_id, c.level, c.at),
changed AS (
    INSERT INTO activity AS a (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
    SELECT user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, grants FROM cells
    ORDER BY user_number, namespace_id, level, at
    ON CONFLICT (user_number, namespace_id, level, at) DO UPDATE
    SET grants = a.grants + excluded.grants, amount = a.amount + excluded.amount,
        recorded = a.recorded + excluded.recorded, recorded_amount = a.recorded_amount + excluded.recorded_amount,
        step = excluded.step
    RETURNING user_number, namespace_id, level, at, grants, recorded, fine,
              (grants > 0)::int - (grants - step > 0)::int AS users),
told AS (
    INSERT INTO trends AS t (namespace_id, level, at, grants, amount, recorded, recorded_amount, users)
    SELECT namespace_id, level, at, sum(grants), sum(amount), sum(recorded), sum(recorded_amount), sum(users)
    FROM (SELECT namespace_id, level, at, grants, amount, recorded, recorded_amount, 0 AS users FROM cells
          UNION ALL SELECT namespace_id, level, at, 0, 0, 0, 0, users FROM changed
          UNION ALL SELECT namespace_id, 2, date_bin('1 minute', granted_at, granted_hour), n, value, 0, 0, 0 FROM placed
          UNION ALL SELECT namespace_id, 2, date_bin('1 minute', recorded_at, recorded_hour), 0, 0, n, value, 0
                    FROM placed) AS x
    GROUP BY namespace_id, level, at ORDER BY namespace_id, level, at
    ON CONFLICT (namespace_id, level, at) DO UPDATE
    SET grants = t.grants + excluded.grants, amount = t.amount + excluded.amount, recorded = t.recorded + excluded.recorded,
        recorded_amount = t.recorded_amount + excluded.recorded_amount, users = t.users + excluded.users)
SELECT user_number, namespace_id, at, fine FROM changed WHERE level = 1 AND (fine OR grants >= $6 OR recorded >= $6);

-- name: add_fine
-- Behind `moves`: minutes and hundredths of seconds, in the hours that are counted so.
, cells AS (
    SELECT p.user_number, p.namespace_id, l.level, date_bin(l.width, c.at, c.hour) AS at, sum(c.grants) AS grants,
           sum(c.amount) AS amount, sum(c.recorded) AS recorded, sum(c.recorded_amount) AS recorded_amount
    FROM placed p
    CROSS JOIN LATERAL (VALUES
        (p.granted_at, p.granted_hour, p.n, p.value, 0, 0), (p.recorded_at, p.recorded_hour, 0, 0, p.n, p.value)
    ) AS c (at, hour, grants, amount, recorded, recorded_amount)
    CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS l (level, width)
    WHERE (SELECT fine FROM activity a WHERE a.user_number = p.user_number AND a.namespace_id = p.namespace_id
           AND a.level = 1 AND a.at = c.hour)
    GROUP BY 1, 2, 3, 4)
INSERT INTO activity AS a (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, grants FROM cells
ORDER BY user_number, namespace_id, level, at
ON CONFLICT (user_number, namespace_id, level, at) DO UPDATE
SET grants = a.grants + excluded.grants, amount = a.amount + excluded.amount, recorded = a.recorded + excluded.recorded,
    recorded_amount = a.recorded_amount + excluded.recorded_amount, step = excluded.step;

-- name: refine
-- From now on some users' hours are counted by minutes and by hundredths of seconds, too: what the ledger holds of them is,
-- of each partition up to a seq. O(their grants in those hours × log n), once each.
WITH dense AS MATERIALIZED (
    SELECT x.*, coalesce(n.rules ->> 'timezone', 'UTC') AS zone, s.last_seq
    FROM unnest($1::bigint[], $2::int[], $3::timestamptz[]) AS x (user_number, namespace_id, hour)
    JOIN namespaces n ON n.id = x.namespace_id
    JOIN unnest($4::smallint[], $5::bigint[]) AS s (partition, last_seq) ON s.partition = n.partition),
marked AS (
    UPDATE activity a SET fine = true FROM dense d
    WHERE a.user_number = d.user_number AND a.namespace_id = d.namespace_id AND a.level = 1 AND a.at = d.hour)
INSERT INTO activity (user_number, namespace_id, level, at, grants, amount, recorded, recorded_amount, step)
SELECT d.user_number, d.namespace_id, l.level, date_bin(l.width, c.at, d.hour), sum(c.grants), sum(c.amount),
       sum(c.recorded), sum(c.recorded_amount), 0
FROM dense d
CROSS JOIN LATERAL (
    SELECT g.granted_at AS at, 1 AS grants, g.value AS amount, 0 AS recorded, 0 AS recorded_amount
    FROM ledger g
    WHERE g.namespace_id = d.namespace_id AND g.user_number = d.user_number AND g.granted_at >= d.hour
      AND g.granted_at < d.hour + interval '1 hour' AND g.kind IN ('grant', 'correction') AND NOT g.voided
      AND g.seq + 0 <= d.last_seq AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.namespace_id = g.namespace_id AND c.grant_id = g.grant_id
          AND c.kind = 'correction' AND c.revision > g.revision AND c.seq <= d.last_seq OFFSET 0)
    UNION ALL
    SELECT g.recorded_at, 0, 0, 1, r.value
    FROM (SELECT grant_id, recorded_at FROM ledger
          WHERE namespace_id = d.namespace_id AND user_number = d.user_number AND kind = 'grant'
            AND recorded_at >= d.hour AND recorded_at < d.hour + interval '1 hour' AND seq + 0 <= d.last_seq OFFSET 0) AS g
    CROSS JOIN LATERAL (
        SELECT value, voided FROM ledger WHERE namespace_id = d.namespace_id AND grant_id = g.grant_id
        AND kind IN ('grant', 'correction') AND seq <= d.last_seq ORDER BY revision DESC LIMIT 1) AS r
    WHERE NOT r.voided) AS c
CROSS JOIN LATERAL (
    SELECT CASE d.zone WHEN 'UTC' THEN date_trunc('day', c.at, 'UTC') ELSE (
               SELECT CASE WHEN c.at < ends THEN starts END FROM zone_days
               WHERE zone = d.zone AND starts <= c.at ORDER BY starts DESC LIMIT 1) END AS begins OFFSET 0) AS day
CROSS JOIN (VALUES (2, interval '1 minute'), (3, interval '10 milliseconds')) AS l (level, width)
WHERE date_bin('1 hour', c.at, day.begins) = d.hour
GROUP BY 1, 2, 3, 4;

-- name: zones_of
SELECT id, coalesce(rules ->> 'timezone', 'UTC') AS zone FROM namespaces WHERE id = ANY($1::int[]);

-- name: add_board_sums
-- What entries changed on their namespaces' `all` boards, summed up by bucket, behind what was known: how much, and how
-- many users came. O(buckets).
WITH moved AS (
    SELECT namespace_id, level, at, sum(change::numeric) AS score, sum(came) AS users
    FROM unnest($1::int[], $2::smallint[], $3::timestamptz[], $4::text[], $5::int[])
         AS x (namespace_id, level, at, change, came)
    GROUP BY namespace_id, level, at)
INSERT INTO board_sums (namespace_id, level, at, score, users)
SELECT m.namespace_id, m.level, m.at, coalesce(b.score, 0) + sum(m.score) OVER w, coalesce(b.users, 0) + sum(m.users) OVER w
FROM moved m
LEFT JOIN LATERAL (
    SELECT score, users FROM board_sums WHERE namespace_id = m.namespace_id AND level = m.level
    ORDER BY at DESC LIMIT 1) AS b ON true
WINDOW w AS (PARTITION BY m.namespace_id, m.level ORDER BY m.at)
ON CONFLICT (namespace_id, level, at) DO UPDATE SET score = excluded.score, users = excluded.users;

-- name: lock_namespaces
SELECT FROM namespaces WHERE id = ANY($1::int[]) ORDER BY id FOR NO KEY UPDATE;

-- name: tell_registered
INSERT INTO audit (namespace_id, type, body)
SELECT namespace_id, 'user_registered', json_build_object('user_number', user_number)
FROM unnest($1::int[], $2::bigint[]) AS x (namespace_id, user_number);

-- name: tell_batches
INSERT INTO audit (namespace_id, type, actor, body)
SELECT namespace_id, 'batch_applied', actor, json_build_object(
    'batch', batch, 'grants', grants, 'change', change, 'first_seq', first_seq, 'last_seq', last_seq)
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
     AS x (namespace_id, batch, actor, grants, change, first_seq, last_seq);

-- name: moment
SELECT clock_timestamp() AS now;

-- name: tell_seasons
-- Seasons of some partitions' namespaces that have begun by a moment ($2), each once, in the order in which they did; also one that is over
-- by now, if nobody was there to tell.
WITH due AS (
    SELECT n.id, s ->> 'name' AS season, s FROM namespaces n CROSS JOIN LATERAL jsonb_array_elements(n.rules -> 'seasons') AS s
    WHERE n.partition = ANY($1::smallint[]) AND n.deleted_at IS NULL AND n.rules -> 'seasons' <> '[]'
      AND (s ->> 'starts')::timestamptz <= $2
      AND NOT EXISTS (SELECT FROM seasons_opened o WHERE o.namespace_id = n.id AND o.season = s ->> 'name')
    ORDER BY n.id FOR NO KEY UPDATE OF n),
opened AS (INSERT INTO seasons_opened SELECT id, season FROM due ON CONFLICT DO NOTHING RETURNING namespace_id, season)
INSERT INTO audit (namespace_id, type, body)
SELECT d.id, 'season_opened', json_build_object('season', d.season, 'starts', d.s -> 'starts', 'ends', d.s -> 'ends')
FROM due d JOIN opened o ON o.namespace_id = d.id AND o.season = d.season
ORDER BY (d.s ->> 'starts')::timestamptz, d.id, d.season;

-- name: namespaces_of_user
-- Where a user has grants, by name, behind a name. O(the user's namespaces).
SELECT n.id, n.name, n.partition, n.version, n.rules::text
FROM (
    SELECT namespace_id FROM standings
    WHERE user_number = (SELECT number FROM users WHERE name = $1) AND "window" = 'all' OFFSET 0) AS s
CROSS JOIN LATERAL (SELECT * FROM namespaces WHERE id = s.namespace_id LIMIT 1) AS n
WHERE n.deleted_at IS NULL AND ($2::text IS NULL OR n.name COLLATE "C" > $2)
ORDER BY n.name COLLATE "C";

-- name: put_profile
-- Replaces a user's profile in a namespace ($2; 0: in the deployment); opt_out: null leaves it as it is. The version is taken
-- under the row's lock: the last one is the highest.
INSERT INTO profiles AS p (user_number, namespace_id, display_name, avatar, timezone, opt_out, folded)
VALUES ($1, $2, $3, $4, $5, coalesce($6::boolean, false), $7)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET version = nextval('profile_version'), display_name = excluded.display_name, avatar = excluded.avatar,
    timezone = excluded.timezone, opt_out = coalesce($6, p.opt_out), folded = excluded.folded
RETURNING version, opt_out;

-- name: fold_profiles
-- Display names without case, of profiles that lack them: as long as they are called so.
UPDATE profiles p SET folded = f.folded
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[]) AS f (user_number, namespace_id, display_name, folded)
WHERE p.user_number = f.user_number AND p.namespace_id = f.namespace_id AND p.display_name = f.display_name
  AND p.folded IS NULL;

-- name: search_users
-- Users of a namespace ($1) whose id begins so ($2 up to $3), or whose display name there does ($4 up to $5, without case),
-- behind a key and a number ($6, $7), each once: by the id where that matches, too. Looks at $8 of those that begin so
-- anywhere, answers $9 at most. $10: hidden users, too, and those without a grant of whom the namespace keeps anything.
-- key, number: of a user found; last_key, last_number: how far it looked; looked: at how many. O($8 × log n).
WITH looked AS MATERIALIZED (
    SELECT key, number, display_name FROM (
        (SELECT name COLLATE "C" AS key, number, NULL AS display_name, 0 AS kind FROM users
         WHERE name COLLATE "C" >= $2 AND name COLLATE "C" < $3 AND (name COLLATE "C", number) > ($6, $7)
         ORDER BY name COLLATE "C", number LIMIT $8)
        UNION ALL
        (SELECT folded, user_number, display_name, 1 FROM profiles
         WHERE namespace_id = $1 AND folded COLLATE "C" >= $4 AND folded COLLATE "C" < $5
           AND (folded COLLATE "C", user_number) > ($6, $7) ORDER BY folded COLLATE "C", user_number LIMIT $8)
        UNION ALL
        (SELECT folded, user_number, display_name, 1 FROM profiles
         WHERE namespace_id = 0 AND folded COLLATE "C" >= $4 AND folded COLLATE "C" < $5
           AND (folded COLLATE "C", user_number) > ($6, $7) ORDER BY folded COLLATE "C", user_number LIMIT $8)) AS s
    ORDER BY key COLLATE "C", number, kind LIMIT $8),
found AS (
    SELECT DISTINCT ON (l.key COLLATE "C", l.number) l.key, l.number, u.name,
           coalesce(own.display_name, wide.display_name) AS display_name, coalesce(own.avatar, wide.avatar) AS avatar,
           EXISTS (SELECT FROM hidden h WHERE h.user_number = l.number AND h.namespace_id IN (0, $1)) AS hidden
    FROM looked l
    CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.number LIMIT 1) AS u
    LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = l.number AND namespace_id = $1 LIMIT 1) AS own ON true
    LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = l.number AND namespace_id = 0 LIMIT 1) AS wide ON true
    WHERE (l.display_name IS NULL OR l.display_name = coalesce(own.display_name, wide.display_name)
           AND NOT (u.name COLLATE "C" >= $2 AND u.name COLLATE "C" < $3))
      AND (EXISTS (
              SELECT FROM standings s WHERE s.user_number = l.number AND s.namespace_id = $1 AND s."window" = 'all' OFFSET 0)
           OR $10::boolean AND (own.user_number IS NOT NULL OR EXISTS (
               SELECT FROM hidden h WHERE h.user_number = l.number AND h.namespace_id = $1)))
      AND ($10 OR NOT EXISTS (SELECT FROM hidden h WHERE h.user_number = l.number AND h.namespace_id IN (0, $1)))
    ORDER BY l.key COLLATE "C", l.number LIMIT $9)
SELECT found.*, e.looked, e.last_key, e.last_number
FROM (SELECT count(*) AS looked, (array_agg(key ORDER BY key COLLATE "C" DESC, number DESC))[1] AS last_key,
             (array_agg(number ORDER BY key COLLATE "C" DESC, number DESC))[1] AS last_number FROM looked) AS e
LEFT JOIN found ON true ORDER BY found.key COLLATE "C", found.number;

-- name: profile
-- A known user's profile; nulls where they have none.
SELECT p.display_name, p.avatar, p.timezone, coalesce(p.opt_out, false) AS opt_out
FROM users u LEFT JOIN profiles p ON p.user_number = u.number AND p.namespace_id = 0 WHERE u.name = $1;

-- name: profiles
-- All profiles, page by page, by user and namespace; partition: null of those of the deployment.
SELECT p.user_number, p.namespace_id, n.partition, u.name, p.version, p.display_name, p.avatar, p.timezone, p.opt_out,
       p.folded
FROM profiles p JOIN users u ON u.number = p.user_number LEFT JOIN namespaces n ON n.id = p.namespace_id
WHERE (p.user_number, p.namespace_id) > ($1, $2) AND n.deleted_at IS NULL ORDER BY 1, 2 LIMIT $3;

-- name: next_profile_version
SELECT nextval('profile_version') AS version;

-- name: profiles_of_user
-- Where a user has a profile of a namespace.
SELECT n.id, n.partition FROM profiles p JOIN namespaces n ON n.id = p.namespace_id
WHERE p.user_number = $1 AND n.deleted_at IS NULL;

-- name: recorded_ids
SELECT namespace_id, kind, grant_id, revision FROM ledger
WHERE (namespace_id, kind, grant_id, revision) IN (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[]));

-- name: set_aside
INSERT INTO set_aside (partition, epoch, seq, reason, entry, cause) VALUES ($1, $2, $3, $4, $5, $6);

-- name: recent_dead_letters
SELECT count(*) FROM set_aside
WHERE partition = $1 AND reason <> 'duplicate' AND set_aside_at > now() - interval '1 minute';

-- name: retry_failed
-- A dead letter that was tried again and could not be recorded again waits for another decision.
UPDATE set_aside SET attempts = attempts + 1, decision = NULL, cause = $4
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL;

-- name: settle_set_aside
UPDATE set_aside SET healed_seq = $4 WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL;

-- name: decided_letters
-- Dead letters of a partition about which something was decided that is not carried out yet, but for some places.
SELECT a.epoch, a.seq, a.entry, a.decision, a.attempts, l.recorded_at, l.weight FROM set_aside a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
LEFT JOIN namespaces n ON n.id = l.namespace_id
WHERE a.partition = $1 AND a.decision IS NOT NULL AND a.healed_seq IS NULL AND n.deleted_at IS NULL
  AND NOT a.epoch || '-' || a.seq = ANY($2::text[])
ORDER BY a.seq LIMIT $3;

-- name: dead_letters
-- Entries that could not be recorded and are neither recorded nor taken off the boards by now; of deleted namespaces none.
SELECT a.partition, a.epoch, a.seq, a.entry, a.cause, a.set_aside_at, a.decision, a.attempts, n.name AS namespace,
       u.name AS user
FROM set_aside a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
LEFT JOIN namespaces n ON n.id = l.namespace_id LEFT JOIN users u ON u.number = l.user_number
WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate' AND n.deleted_at IS NULL
ORDER BY a.partition, a.epoch, a.seq LIMIT $1;

-- name: letter
SELECT decision, cause, healed_seq FROM set_aside
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND reason <> 'duplicate';

-- name: open_letters
-- Dead letters of a partition that are not settled and in whose entry a grant_id stands somewhere. O(its open letters).
SELECT seq, entry FROM set_aside
WHERE partition = $1 AND healed_seq IS NULL AND reason <> 'duplicate' AND position(convert_to($2, 'UTF8') IN entry) > 0
ORDER BY seq;

-- name: letters_at
-- Which of some places of a partition are dead letters, and whether each is recorded or taken off the boards by now.
-- O(log n) each.
SELECT a.epoch, a.seq, a.healed_seq IS NOT NULL AS is_settled
FROM unnest($2::bigint[], $3::bigint[]) AS x (epoch, seq)
CROSS JOIN LATERAL (
    SELECT epoch, seq, healed_seq FROM set_aside
    WHERE partition = $1 AND epoch = x.epoch AND seq = x.seq AND reason <> 'duplicate' OFFSET 0) AS a;

-- name: decide_letter
-- What is decided about a dead letter; the first word holds until it is carried out or has failed.
UPDATE set_aside SET decision = coalesce(decision, $4)
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL AND reason <> 'duplicate' RETURNING decision;

-- name: settle_erased
-- Dead letters of a user who was erased: nothing is left that could be recorded or taken off.
UPDATE set_aside a SET healed_seq = a.seq FROM ledger l
WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate' AND l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
  AND l.user_number = $1;

-- name: lost_letters
-- Open dead letters of a partition of which nothing is known but their place.
SELECT a.epoch, a.seq, a.cause FROM set_aside a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
WHERE a.partition = $1 AND l.namespace_id = 0 AND a.healed_seq IS NULL AND a.reason <> 'duplicate' ORDER BY 1, 2 LIMIT $2;

-- name: put_fault
INSERT INTO faults (partition, kind, name, cause) VALUES ($1, $2, $3, $4)
ON CONFLICT (partition, kind, name) DO UPDATE SET cause = excluded.cause;

-- name: end_fault
DELETE FROM faults WHERE partition = $1 AND kind = $2 AND name = $3;

-- name: forget_faults
DELETE FROM faults WHERE partition = $1;

-- name: faults
-- What fails, the ledger's first, and how many dead letters wait: at most $1 lines.
SELECT partition, kind, name, cause FROM faults ORDER BY kind <> 'ledger', partition, kind, name LIMIT $1;

-- name: count_dead_letters
-- How many `dead_letters` lists.
SELECT count(*) FROM set_aside a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
LEFT JOIN namespaces n ON n.id = l.namespace_id
WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate' AND n.deleted_at IS NULL;

-- name: open_heals
-- Duplicates of a partition that are not taken back yet, but for some places; of deleted namespaces none will be, nor of
-- corrections, which never count twice.
SELECT a.epoch, a.seq, a.entry, l.weight, h.seq AS healed_seq FROM set_aside a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
JOIN namespaces n ON n.id = l.namespace_id AND n.deleted_at IS NULL
LEFT JOIN ledger h ON h.namespace_id = l.namespace_id AND h.kind = 'heal' AND h.revision = 1
     AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq
WHERE a.partition = $1 AND a.healed_seq IS NULL AND a.reason = 'duplicate' AND l.revision = 1
  AND NOT a.epoch || '-' || a.seq = ANY($2::text[])
ORDER BY a.seq LIMIT $3;

-- name: close_heal
UPDATE set_aside SET healed_seq = $4 WHERE partition = $1 AND epoch = $2 AND seq = $3;

-- name: deleted_namespaces
SELECT partition, id, nextval('rules_version') AS version FROM namespaces
WHERE partition = ANY($1::smallint[]) AND deleted_at IS NOT NULL AND dropped_at IS NULL;

-- name: drop_archived
-- Some rows of some deleted namespaces' archives.
DELETE FROM archived WHERE (archive_id, position) IN (
    SELECT r.archive_id, r.position FROM archives a
    CROSS JOIN LATERAL (SELECT archive_id, position FROM archived WHERE archive_id = a.id LIMIT $2) AS r
    WHERE a.namespace_id = ANY($1::int[]) LIMIT $2);

-- name: drop_archives
-- Some of their archives that have no rows left.
WITH doomed AS (SELECT id FROM archives WHERE namespace_id = ANY($1::int[]) LIMIT $2),
revisions AS (DELETE FROM archive_revisions WHERE archive_id IN (SELECT id FROM doomed)),
marks AS (DELETE FROM veiled WHERE archive_id IN (SELECT id FROM doomed))
DELETE FROM archives WHERE id IN (SELECT id FROM doomed);

-- name: drop_archive_todo
DELETE FROM archive_todo WHERE (namespace_id, "window", user_number, seq) IN (
    SELECT namespace_id, "window", user_number, seq FROM archive_todo WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: drop_quarantined
DELETE FROM quarantined WHERE (namespace_id, seq) IN (
    SELECT namespace_id, seq FROM quarantined WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: drop_seals
DELETE FROM seals WHERE (namespace_id, "window") IN (
    SELECT namespace_id, "window" FROM seals WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: mark_dropped
WITH forgotten AS (DELETE FROM hidden WHERE namespace_id = ANY($1::int[])),
nameless AS (DELETE FROM profiles WHERE namespace_id = ANY($1)),
settled AS (
    -- Letters that came behind the deletion.
    UPDATE set_aside a SET healed_seq = a.seq FROM ledger l
    WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate'
      AND l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq AND l.namespace_id + 0 = ANY($1::int[]))
UPDATE namespaces SET dropped_at = now() WHERE id = ANY($1::int[]);

-- name: named_namespace
-- The namespace that bears a name or bore it last, or the one of that name with an id.
SELECT id, name, partition, version, rules::text FROM namespaces
WHERE name = $1 AND ($2::int IS NULL OR id = $2) ORDER BY id DESC LIMIT 1;

-- name: ledger_looked
-- How many entries of an actor or a session lie behind a seq, at most so many, and the last of those. O(those).
SELECT count(*) AS entries, max(seq) AS seq FROM (
    (SELECT seq FROM ledger WHERE namespace_id = $1 AND actor = $3 AND seq > $2 AND $4::text IS NULL ORDER BY seq LIMIT $5)
    UNION ALL
    (SELECT seq FROM ledger WHERE namespace_id = $1 AND session_id = $4 AND seq > $2 ORDER BY seq LIMIT $5)) AS looked;

-- name: ledger_events
-- A namespace's entries of some kinds after a seq, oldest first, with what a correction found. Each branch has its index
-- and runs only where its filter is asked for: O(kinds × (log n + limit)), or by actor or session O(theirs between the seqs).
WITH picked AS (
    (SELECT found.* FROM unnest($3::text[]) AS kinds (kind) CROSS JOIN LATERAL (
        SELECT l.partition, l.epoch, l.seq FROM ledger l
        WHERE l.namespace_id = $1 AND coalesce(l.verb, l.kind) = kinds.kind
          AND l.seq > $2 AND l.seq <= $7 ORDER BY l.seq LIMIT $6) AS found
     WHERE $4::text IS NULL AND $5::text IS NULL)
    UNION ALL
    (SELECT l.partition, l.epoch, l.seq FROM ledger l
     WHERE l.namespace_id = $1 AND l.actor = $4 AND l.seq > $2 AND l.seq <= $7 AND $5::text IS NULL
       AND coalesce(l.verb, l.kind) = ANY($3) ORDER BY l.seq LIMIT $6)
    UNION ALL
    (SELECT l.partition, l.epoch, l.seq FROM ledger l
     WHERE l.namespace_id = $1 AND l.session_id = $5 AND l.seq > $2 AND l.seq <= $7 AND ($4::text IS NULL OR l.actor = $4)
       AND coalesce(l.verb, l.kind) = ANY($3) ORDER BY l.seq LIMIT $6))
SELECT coalesce(l.verb, l.kind) AS kind, l.epoch, l.seq, l.recorded_at, u.name AS user,
       l.grant_id, l.revision, coalesce(l.value, l.amount) AS amount, l.change, l.score, l.category, l.source,
       l.source_id, l.action, l.session_id, l.granted_at, l.actor, l.reason, b.value AS previous_amount,
       s.entry AS claimed
FROM (SELECT * FROM picked ORDER BY seq LIMIT $6) AS p
JOIN ledger l ON l.partition = p.partition AND l.epoch = p.epoch AND l.seq = p.seq
LEFT JOIN users u ON u.number = l.user_number
LEFT JOIN ledger b ON l.kind = 'correction' AND b.namespace_id = l.namespace_id AND b.grant_id = l.grant_id
     AND b.revision = l.revision - 1 AND b.kind IN ('grant', 'correction')
LEFT JOIN set_aside s ON l.kind = 'duplicate' AND s.partition = l.partition AND s.epoch = l.epoch AND s.seq = l.seq
ORDER BY l.seq;

-- name: audit_events
-- A namespace's events that no ledger holds, after an id, oldest first. O(types × (log n + limit)).
WITH picked AS (
    (SELECT found.id FROM unnest($3::text[]) AS types (type) CROSS JOIN LATERAL (
        SELECT id FROM audit WHERE namespace_id = $1 AND type = types.type AND id > $2 ORDER BY id LIMIT $5) AS found
     WHERE $4::text IS NULL)
    UNION ALL
    (SELECT found.id FROM unnest($3::text[]) AS types (type) CROSS JOIN LATERAL (
        SELECT id FROM audit WHERE namespace_id = $1 AND actor = $4 AND type = types.type AND id > $2
        ORDER BY id LIMIT $5) AS found))
SELECT a.id, a.type, a.actor, a.at, a.body::text, u.name AS user
FROM (SELECT id FROM picked ORDER BY id LIMIT $5) AS p JOIN audit a ON a.id = p.id
LEFT JOIN users u ON u.number = (a.body ->> 'user_number')::bigint
ORDER BY a.id;

-- name: seals
-- The latest closed windows of each namespace of a partition, the earliest first. at: when, in microseconds. O(windows).
SELECT namespace_id, "window", (extract(epoch FROM sealed_at) * 1000000)::bigint AS at
FROM (
    SELECT namespace_id, "window", sealed_at, seq, row_number() OVER (PARTITION BY namespace_id ORDER BY seq DESC) AS nth
    FROM seals WHERE partition = $1) AS s
WHERE nth <= $2 ORDER BY seq;

-- name: add_seal
-- Here and below: whose namespace is deleted by now has its last seals taken away, and gets no more of them.
INSERT INTO seals (namespace_id, "window", partition, epoch, seq, sealed_at)
SELECT id, $2, $3, $4, $5, $6 FROM namespaces WHERE id = $1 AND deleted_at IS NULL
ON CONFLICT DO NOTHING;

-- name: add_archive_todo
-- Of entries, given by their places, the closed windows in which their grants lie or lay before. O(entries × log n).
INSERT INTO archive_todo (namespace_id, "window", user_number, partition, seq)
SELECT s.namespace_id, s."window", l.user_number, l.partition, l.seq
FROM unnest($1::smallint[], $2::int[], $3::bigint[]) AS x (p, epoch, seq)
JOIN ledger l ON l.partition = x.p AND l.epoch = x.epoch AND l.seq = x.seq
LEFT JOIN ledger b ON l.kind = 'correction' AND b.namespace_id = l.namespace_id AND b.grant_id = l.grant_id
     AND b.revision = l.revision - 1 AND b.kind IN ('grant', 'correction')
JOIN seals s ON s.namespace_id = l.namespace_id AND s.seq < l.seq AND s."window" = ANY(l.windows || b.windows)
JOIN namespaces n ON n.id = l.namespace_id AND n.deleted_at IS NULL
ON CONFLICT DO NOTHING;

-- name: sealable_namespaces
-- Those of some partitions that bound how old a grant may be, behind an id.
SELECT id, name, partition, version, rules::text FROM namespaces
WHERE partition = ANY($1::smallint[]) AND id > $2 AND deleted_at IS NULL AND rules ->> 'accept_past' IS NOT NULL
ORDER BY id LIMIT $3;

-- name: unarchived
-- Closed windows whose boards are still in Redis, as far as the ledger has come, but for some.
SELECT n.id, n.partition, n.name, n.version, n.rules::text, s."window", s.seq
FROM seals s JOIN namespaces n ON n.id = s.namespace_id
WHERE s.partition = $1 AND s.archived_at IS NULL AND s.seq > $2 AND s.seq <= $3 AND n.deleted_at IS NULL
  AND NOT n.id || ' ' || s."window" = ANY($4::text[])
ORDER BY s.seq LIMIT 1000;

-- name: window_scores
-- What each user's grants come to on a window's boards, as the log stood at a seq: of all users, or of some. A
-- dead letter that was recorded after all counts from its own place on. lowest and highest granted_at: beyond them no grant
-- of the window lies. since: the place in line where that goes by moments ($9), else 0. O(the window's grants), or of those
-- users' grants.
WITH live AS (
    SELECT l.user_number, l.value, l.granted_at, l.category, coalesce(f.seq, l.original_seq, l.seq) AS first_seq
    FROM ledger l
    LEFT JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
        AND kind = 'grant' LIMIT 1) AS f ON l.kind = 'correction'
    WHERE l.namespace_id = $1 AND l.kind IN ('grant', 'correction') AND NOT l.voided AND l.windows @> ARRAY[$2::text]
      AND l.granted_at BETWEEN $3 AND $4 AND coalesce(l.original_seq, l.seq) <= $5
      AND ($6::bigint[] IS NULL OR l.user_number = ANY($6))
      AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
          AND c.kind = 'correction' AND c.revision > l.revision AND coalesce(c.original_seq, c.seq) <= $5 OFFSET 0))
SELECT b.board, user_number,
       CASE $7::text WHEN 'sum' THEN sum(value)::bigint WHEN 'highest' THEN max(value) WHEN 'lowest' THEN min(value)
            ELSE (array_agg(value ORDER BY granted_at DESC, first_seq DESC))[1] END AS score,
       tie_of(max(tie_key($7, value, granted_at, first_seq)) FILTER (WHERE $9::boolean)) AS since
FROM live CROSS JOIN LATERAL (VALUES ($2::text), (CASE WHEN $8::boolean THEN $2 || ':' || category END)) AS b (board)
WHERE b.board IS NOT NULL GROUP BY b.board, user_number;

-- name: archive_tables
-- What an archive is made of: a board as Redis held it, some users' scores as they are to be, and the rows that become others.
CREATE TEMP TABLE IF NOT EXISTS held_here (board text, name text, key bigint, since numeric) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS fresh (board text, user_number bigint, key bigint, since numeric) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS moved (
    archive_id integer, position integer, user_number bigint, key bigint, since numeric, better integer, levels integer
) ON COMMIT DELETE ROWS;

-- name: compare_held
-- How many users differ between a sealed window in Redis and in the ledger, and one of their boards. An erased user's
-- scores stand in the ledger alone. $1: whether places in line are compared, too.
SELECT count(*) AS differ, min(coalesce(f.board, h.board)) AS board
FROM (SELECT fresh.*, u.name FROM fresh JOIN users u ON u.number = fresh.user_number) AS f
FULL JOIN held_here h ON h.board = f.board AND h.name = f.name
LEFT JOIN hidden x ON x.user_number = f.user_number AND x.erased
WHERE (f.key IS DISTINCT FROM h.key OR ($1::boolean AND f.since <> h.since)) AND x.user_number IS NULL;

-- name: date_fresh
UPDATE fresh f SET since = h.since FROM held_here h JOIN users u ON u.name = h.name
WHERE h.board = f.board AND u.number = f.user_number;

-- name: open_archives
-- The archives of the boards named, made where they are missing; a seq only rises.
INSERT INTO archives (namespace_id, board, "window", seq) SELECT $1, unnest($2::text[]), $3, $4
ON CONFLICT (namespace_id, board) DO UPDATE SET seq = greatest(archives.seq, excluded.seq) RETURNING id, board, seq;

-- name: find_moved
-- The rows of archives that become others as some users' scores become those of `fresh`; without a position: who leaves.
-- Places and ranks as a sorted set gives them: among equals the earlier, else by name backwards. O(n log n).
WITH held AS (
    SELECT r.archive_id, r.user_number, r.key, r.since, r.position, r.better, r.levels FROM archived r
    WHERE r.archive_id = ANY($2::int[]) AND NOT r.user_number = ANY($3::bigint[])
    UNION ALL
    SELECT a.id, f.user_number, f.key, f.since, r.position, r.better, r.levels
    FROM fresh f JOIN archives a ON a.namespace_id = $1 AND a.board = f.board
    LEFT JOIN archived r ON r.archive_id = a.id AND r.user_number = f.user_number AND r.key = f.key AND r.since = f.since
    WHERE a.id = ANY($2)),
now AS (
    SELECT h.*, row_number() OVER (PARTITION BY h.archive_id ORDER BY h.key DESC, h.since, u.name COLLATE "C" DESC) AS place,
           rank() OVER w - 1 AS above, dense_rank() OVER w - 1 AS steps
    FROM held h JOIN users u ON u.number = h.user_number WINDOW w AS (PARTITION BY h.archive_id ORDER BY h.key DESC))
INSERT INTO moved
SELECT archive_id, place, user_number, key, since, above, steps FROM now
WHERE (position, better, levels) IS DISTINCT FROM (place::int, above::int, steps::int)
UNION ALL
SELECT r.archive_id, NULL, r.user_number, NULL, NULL, NULL, NULL
FROM archives a JOIN archived r ON r.archive_id = a.id
WHERE a.id = ANY($2) AND r.user_number = ANY($3)
  AND NOT EXISTS (SELECT FROM fresh f WHERE f.board = a.board AND f.user_number = r.user_number);

-- name: clear_moved
DELETE FROM archived r USING moved m WHERE r.archive_id = m.archive_id AND r.user_number = m.user_number;

-- name: fill_moved
INSERT INTO archived (archive_id, position, user_number, key, since, better, levels)
SELECT archive_id, position, user_number, key, since, better, levels FROM moved WHERE position IS NOT NULL;

-- name: lock_archived
-- Once archives are written and before their users are marked: who is being hidden meanwhile is seen here, or sees them.
LOCK TABLE veiled IN SHARE ROW EXCLUSIVE MODE;

-- name: veil_moved
-- Marks whoever is hidden among the rows that became others; who stands there no more is marked no more. O(those).
WITH gone AS (
    DELETE FROM veiled v USING moved m
    WHERE m.position IS NULL AND v.archive_id = m.archive_id AND v.user_number = m.user_number)
INSERT INTO veiled SELECT m.archive_id, m.user_number FROM moved m JOIN archives a ON a.id = m.archive_id
JOIN hidden h ON h.user_number = m.user_number AND h.namespace_id IN (0, a.namespace_id)
WHERE m.position IS NOT NULL ON CONFLICT DO NOTHING;

-- name: sign_archives
-- A new revision: its total, its sums and its hash. sign: what makes a key a score again.
WITH made AS (
    UPDATE archives SET revision = revision + 1, total = t.total, hash = t.hash, keys_sum = t.keys, squares_sum = t.squares
    FROM (SELECT x.id, count(r.user_number) AS total,
                 coalesce(sum(r.key), 0) AS keys, coalesce(sum(r.key::numeric * r.key), 0) AS squares,
                 sha256(coalesce(string_agg(r.user_number || ' ' || $2::int * r.key, E'\n' ORDER BY r.user_number), '')
                        ::bytea) AS hash
          FROM unnest($1::int[]) AS x (id)
          LEFT JOIN LATERAL (
              SELECT user_number, key FROM archived WHERE archive_id = x.id ORDER BY position OFFSET 0) AS r ON true
          GROUP BY x.id) AS t
    WHERE archives.id = t.id RETURNING archives.id, revision, seq, archives.total, archives.hash)
INSERT INTO archive_revisions (archive_id, revision, seq, total, hash) SELECT * FROM made;

-- name: archives_of
SELECT id, board, seq FROM archives WHERE namespace_id = $1 AND "window" = $2;

-- name: mark_archived
UPDATE seals SET archived_at = now() WHERE namespace_id = $1 AND "window" = $2;

-- name: archive_todo
-- What is to follow in archives that stand, window by window, but for some.
SELECT n.id, n.partition, n.name, n.version, n.rules::text, t."window", t.user_number, t.seq
FROM archive_todo t JOIN namespaces n ON n.id = t.namespace_id AND n.deleted_at IS NULL
JOIN seals s ON s.namespace_id = t.namespace_id AND s."window" = t."window" AND s.archived_at IS NOT NULL
WHERE t.partition = $1 AND NOT n.id || ' ' || t."window" = ANY($2::text[]) ORDER BY t.namespace_id, t."window", t.seq LIMIT 10000;

-- name: archived_of_users
SELECT a.board, r.user_number, r.key, r.since FROM archives a JOIN archived r ON r.archive_id = a.id
WHERE a.namespace_id = $1 AND a."window" = $2 AND r.user_number = ANY($3::bigint[]);

-- name: archive_done
DELETE FROM archive_todo WHERE namespace_id = $1 AND "window" = $2 AND user_number = ANY($3::bigint[]) AND seq <= $4;

-- name: archived_page
-- A closed window's board by places; `total` stands in a row of its own where no place is found, none where no archive is.
-- veiled: whether anybody of it is not shown; gone: whether this one is. Each OFFSET 0 keeps that a look-up of its key.
SELECT a.total, r.position, u.name, r.key, r.since, r.better, r.levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS gone, a.revision
FROM archives a LEFT JOIN archived r ON r.archive_id = a.id AND r.position BETWEEN $3 AND $4
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: archived_places
-- As archived_page, at these places.
SELECT a.total, r.position, u.name, r.key, r.since, r.better, r.levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS gone, a.revision
FROM archives a LEFT JOIN archived r ON r.archive_id = a.id AND r.position = ANY($3::int[])
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: archived_above
-- How many users, and how many scores, stand above each of some keys, whether anybody has it or not. O(log n) a key.
SELECT a.total, k.key, coalesce(n.better, a.total) AS better,
       coalesce(n.levels, (SELECT r.levels + 1 FROM archived r WHERE r.archive_id = a.id AND r.position = a.total), 0) AS levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled
FROM archives a CROSS JOIN unnest($3::bigint[]) WITH ORDINALITY AS k (key, number)
LEFT JOIN LATERAL (SELECT r.better, r.levels FROM archived r WHERE r.archive_id = a.id AND r.key <= k.key
                   ORDER BY r.key DESC LIMIT 1) AS n ON true
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY k.number;

-- name: archived_users
SELECT a.total, r.position, u.name, r.key, r.since, r.better, r.levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS gone, a.revision
FROM archives a LEFT JOIN users u ON u.name = ANY($3::text[])
LEFT JOIN archived r ON r.archive_id = a.id AND r.user_number = u.number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: archived_around
-- A user's place and as many on each side.
SELECT a.total, r.position, u.name, r.key, r.since, r.better, r.levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS gone, a.revision
FROM archives a
LEFT JOIN archived o ON o.archive_id = a.id AND o.user_number = (SELECT number FROM users WHERE name = $3)
LEFT JOIN archived r ON r.archive_id = a.id AND r.position BETWEEN o.position - $4 AND o.position + $4
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: archived_after
-- The places behind (key, since, name): behind the one who stood there, or where that one would stand. Found by halving the
-- places of those who tie, for no index knows their names. O(log n + limit).
WITH RECURSIVE a AS MATERIALIZED (SELECT id, total, revision FROM archives WHERE namespace_id = $1 AND board = $2),
own AS MATERIALIZED (
    SELECT r.position + 1 AS place FROM archived r
    WHERE r.archive_id = (SELECT id FROM a) AND r.user_number = (SELECT number FROM users WHERE name = $5)
      AND r.key = $3 AND r.since = $4),
ties AS MATERIALIZED (
    SELECT (SELECT better + 1 FROM archived WHERE archive_id = a.id AND key = $3 LIMIT 1) AS first,
           coalesce((SELECT better FROM archived WHERE archive_id = a.id AND key < $3 ORDER BY key DESC LIMIT 1),
                    a.total) + 1 AS behind FROM a),
halves (low, high) AS (
    SELECT coalesce(first, behind), behind FROM ties WHERE NOT EXISTS (SELECT FROM own)
    UNION ALL
    SELECT CASE WHEN m.is_behind THEN h.low ELSE h.middle + 1 END, CASE WHEN m.is_behind THEN h.middle ELSE h.high END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM halves WHERE low < high) AS h
    CROSS JOIN LATERAL (
        SELECT r.since > $4 OR (r.since = $4 AND u.name COLLATE "C" < $5) AS is_behind
        FROM archived r JOIN users u ON u.number = r.user_number
        WHERE r.archive_id = (SELECT id FROM a) AND r.position = h.middle OFFSET 0) AS m),
start AS MATERIALIZED (SELECT coalesce((SELECT place FROM own), (SELECT low FROM halves WHERE low = high)) AS place)
SELECT a.total, r.position, u.name, r.key, r.since, r.better, r.levels,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id OFFSET 0) AS veiled,
       EXISTS (SELECT FROM veiled v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS gone, a.revision
FROM a LEFT JOIN archived r ON r.archive_id = a.id
     AND r.position BETWEEN (SELECT place FROM start) AND (SELECT place FROM start) + $6::int - 1
LEFT JOIN users u ON u.number = r.user_number ORDER BY r.position;

-- name: archived_hidden
-- Who stands in an archive and is not shown, each with how many share the score. O(users who are not shown × log n, and
-- those who share their scores).
WITH gone AS MATERIALIZED (
    SELECT r.archive_id, r.position, r.key, a.revision FROM archives a
    JOIN veiled v ON v.archive_id = a.id
    CROSS JOIN LATERAL (SELECT * FROM archived WHERE archive_id = a.id AND user_number = v.user_number LIMIT 1) AS r
    WHERE a.namespace_id = $1 AND a.board = $2),
peers AS (
    SELECT k.key, n.peers FROM (SELECT DISTINCT archive_id, key FROM gone) AS k
    CROSS JOIN LATERAL (SELECT count(*) AS peers FROM archived p WHERE p.archive_id = k.archive_id AND p.key = k.key) AS n)
SELECT g.position, g.key, p.peers, g.revision FROM gone g JOIN peers p USING (key) ORDER BY g.position;

-- name: archived_stats
-- What the scores of an archive's shown users come to, as lua/read_board_stats.lua tells it of a board: keys from $3 to $4, $5 bins,
-- the keys of percents ($6, in ten-thousandths) by nearest rank, or two a percent where $9; $7: what makes a key a score;
-- $8: whether a part is added up, in O(those).
-- All else out of the archive's own sums, places and counts. O((bins + users who are not shown) × log n).
WITH a AS MATERIALIZED (SELECT id, total, keys_sum, squares_sum FROM archives WHERE namespace_id = $1 AND board = $2),
gone AS MATERIALIZED (
    SELECT r.key, r.position - row_number() OVER (ORDER BY r.position) AS shown_above
    FROM veiled v
    CROSS JOIN LATERAL (SELECT * FROM archived WHERE archive_id = v.archive_id AND user_number = v.user_number LIMIT 1) AS r
    WHERE v.archive_id = (SELECT id FROM a)),
ends AS MATERIALIZED (
    SELECT min(above) FILTER (WHERE number = 1) AS first, max(above) AS behind
    FROM a CROSS JOIN (VALUES (1, $4::bigint), (2, $3::bigint - 1)) AS k (number, key)
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT better FROM archived WHERE archive_id = a.id AND key <= k.key ORDER BY key DESC LIMIT 1),
                        a.total) - (SELECT count(*) FROM gone g WHERE g.key > k.key) AS above) AS n),
whole AS MATERIALIZED (SELECT first, behind, greatest(behind - first, 0) AS count FROM ends),
places AS MATERIALIZED (
    SELECT p.number, r.key FROM whole
    CROSS JOIN LATERAL (
        SELECT 2 * p.number AS number, behind + 1 - CASE
                   WHEN $9::bool THEN p.percent * (count - 1) / 1000000 + 1
                   ELSE greatest((p.percent * count + 999999) / 1000000, 1) END AS place
        FROM unnest($6::bigint[]) WITH ORDINALITY AS p (percent, number)
        UNION ALL SELECT 2 * p.number + 1, behind + 1 - least(p.percent * (count - 1) / 1000000 + 2, count)
        FROM unnest($6::bigint[]) WITH ORDINALITY AS p (percent, number) WHERE $9
        UNION ALL SELECT 0, behind UNION ALL SELECT -1, first + 1) AS p
    CROSS JOIN LATERAL (
        SELECT key FROM archived WHERE archive_id = (SELECT id FROM a)
        AND position = p.place + (SELECT count(*) FROM gone WHERE shown_above < p.place) LIMIT 1) AS r
    WHERE count > 0),
scores AS (
    SELECT min($7::bigint * key) AS lowest, max($7::bigint * key) AS highest FROM places WHERE number <= 0),
edges AS MATERIALIZED (
    SELECT i, lowest + width / n * i + width % n * i / n AS begin
    FROM scores, LATERAL (SELECT highest - lowest + 1 AS width) AS w, LATERAL (SELECT least($5::bigint, width) AS n) AS b,
         generate_series(0, n - 1) AS i
    WHERE lowest IS NOT NULL),
under AS (
    SELECT i, begin, CASE WHEN $7 > 0 THEN behind - above ELSE above - first END AS under
    FROM whole, a, edges CROSS JOIN LATERAL (SELECT CASE WHEN $7 > 0 THEN begin - 1 ELSE -begin END AS key) AS k
    CROSS JOIN LATERAL (
        SELECT coalesce((SELECT better FROM archived WHERE archive_id = a.id AND key <= k.key ORDER BY key DESC LIMIT 1),
                        a.total) - (SELECT count(*) FROM gone g WHERE g.key > k.key) AS above) AS n),
bins AS (
    SELECT i, begin, lead(under, 1, count) OVER (ORDER BY i) - under AS held FROM under, whole),
sums AS (
    SELECT a.total - (SELECT count(*) FROM gone) = whole.count AS is_whole FROM a, whole)
SELECT coalesce((SELECT count FROM whole), 0) AS count, scores.*,
       ($7 * CASE WHEN is_whole THEN (SELECT keys_sum FROM a) - (SELECT coalesce(sum(key), 0) FROM gone)
                  WHEN $8 THEN (SELECT sum(key) FROM archived WHERE archive_id = (SELECT id FROM a) AND key BETWEEN $3 AND $4)
                               - (SELECT coalesce(sum(key), 0) FROM gone WHERE key BETWEEN $3 AND $4) END)::text AS sum,
       CASE WHEN is_whole THEN (SELECT squares_sum FROM a) - (SELECT coalesce(sum(key::numeric * key), 0) FROM gone)
       END::text AS squares,
       (SELECT array_agg(key ORDER BY number) FROM places WHERE number > 0) AS percents,
       (SELECT array_agg(begin ORDER BY i) FROM bins) AS begins, (SELECT array_agg(held ORDER BY i) FROM bins) AS counts
FROM scores LEFT JOIN sums ON true;

-- name: lock_user
-- A user's number. Who changes a person waits here for whoever does: the statements behind it see what that one left.
SELECT number FROM users WHERE name = $1 FOR NO KEY UPDATE;

-- name: person
-- Why a user is off the boards of a namespace ($2; 0: of all), and what was wished for last; nulls where neither holds.
SELECT h.by_admin, h.opted_out, i.user_number, i.name, i.version, i.wish, i.actor, i.open, u.namespace_id
FROM (SELECT $1::bigint AS number, $2::int AS namespace_id) u
LEFT JOIN hidden h ON h.user_number = u.number AND h.namespace_id = u.namespace_id
LEFT JOIN intents i ON i.user_number = u.number AND i.namespace_id = u.namespace_id;

-- name: mark_people
-- A namespace that keeps something of users alone stays in its partition from here on.
UPDATE namespaces SET people = true WHERE id = $1 AND NOT people;

-- name: put_hidden
INSERT INTO hidden (user_number, namespace_id, by_admin, opted_out, erased) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET by_admin = excluded.by_admin, opted_out = excluded.opted_out, erased = excluded.erased;

-- name: drop_hidden
-- The marks stay where the user is hidden still: in the deployment, or in an archive's namespace.
WITH shown AS (
    DELETE FROM veiled v USING archives a
    WHERE v.user_number = $1 AND a.id = v.archive_id AND $2 IN (0, a.namespace_id) AND NOT EXISTS (
        SELECT FROM hidden h
        WHERE h.user_number = $1 AND h.namespace_id <> $2 AND h.namespace_id IN (0, a.namespace_id)))
DELETE FROM hidden WHERE user_number = $1 AND namespace_id = $2::int;

-- name: lock_veiled
-- Before a user who was hidden is marked in archives: whoever writes these waits, or was waited for.
LOCK TABLE veiled IN ROW EXCLUSIVE MODE;

-- name: veil_user
-- Marks a user in the archives in which they stand, of one namespace or ($2 = 0) of all. O(archives of the user's
-- namespaces × log n).
INSERT INTO veiled
SELECT a.id, $1 FROM standings s JOIN archives a ON a.namespace_id = s.namespace_id
CROSS JOIN LATERAL (SELECT FROM archived r WHERE r.archive_id = a.id AND r.user_number = $1 LIMIT 1) AS held
WHERE s.user_number = $1 AND s."window" = 'all' AND $2::int IN (0, s.namespace_id) ON CONFLICT DO NOTHING;

-- name: put_intent
-- It takes the place of what was wished before, and is open in every partition, or in that of its namespace ($5).
INSERT INTO intents (user_number, name, version, wish, actor, namespace_id, open)
SELECT $1, $2, nextval('intent_version'), $3, $4, $5::int, array_agg(partition) FROM partitions
WHERE $5 = 0 OR partition = (SELECT partition FROM namespaces WHERE id = $5)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET name = excluded.name, version = excluded.version, wish = excluded.wish, actor = excluded.actor, asked_at = now(),
    open = excluded.open
RETURNING user_number, name, version, wish, actor, namespace_id, open;

-- name: confirm_intent
-- In which partitions it came true, unless something else was wished since.
UPDATE intents SET open = ARRAY(SELECT unnest(open) EXCEPT SELECT unnest($3::smallint[]))
WHERE user_number = $1 AND version = $2 RETURNING cardinality(open) AS open;

-- name: open_intents
-- What some partitions have not confirmed, by version behind one.
SELECT user_number, name, version, wish, actor, namespace_id, open FROM intents
WHERE open <> '{}' AND open && $1::smallint[] AND version > $2 AND NOT EXISTS (
    SELECT FROM namespaces n WHERE n.id = intents.namespace_id AND n.deleted_at IS NOT NULL)
ORDER BY version LIMIT $3;

-- name: hidden_intents
-- What Redis is to know of everybody who is off the boards, page by page, by version; partition: null of all.
SELECT i.user_number, i.name, i.version, i.wish, i.actor, i.namespace_id, n.partition
FROM intents i LEFT JOIN namespaces n ON n.id = i.namespace_id
WHERE i.wish IN ('hide', 'erase') AND n.deleted_at IS NULL AND i.version > $1 ORDER BY i.version LIMIT $2;

-- name: intent
-- Whether anything is still wished for a user, or still to be let go of.
SELECT version, wish FROM intents WHERE user_number = $1 LIMIT 1;

-- name: boards_of_user
-- Where a user may stand in some partitions: the windows of each category in which any entry of theirs ever lay, in one
-- order whenever it is asked: it is cut into entries that are named by what they hold.
SELECT n.id, n.name, n.partition, n.version, n.rules::text, l.category, array_agg(l.at ORDER BY l.at) AS windows
FROM standings s JOIN namespaces n ON n.id = s.namespace_id
CROSS JOIN LATERAL (
    SELECT DISTINCT category, unnest(windows) AS at FROM ledger
    WHERE namespace_id = n.id AND user_number = s.user_number) AS l
WHERE s.user_number = $1 AND s."window" = 'all' AND n.deleted_at IS NULL AND n.partition = ANY($2::smallint[])
  AND $3::int IN (0, n.id)
GROUP BY n.id, l.category ORDER BY n.id, l.category;

-- name: end_veils
-- Who came back a while ago: nothing that was made before is on its way any more, so the state itself may go.
UPDATE intents SET wish = 'release', open = (
    SELECT array_agg(p.partition) FROM partitions p
    WHERE namespace_id = 0 OR p.partition = (SELECT partition FROM namespaces WHERE id = namespace_id))
WHERE wish = 'unhide' AND open = '{}' AND asked_at < now() - interval '1 hour';

-- name: drop_intents
-- What was let go of everywhere; and what was wished in a namespace that is deleted, whose keys go by themselves.
DELETE FROM intents i WHERE (wish = 'release' AND open = '{}') OR namespace_id <> 0 AND EXISTS (
    SELECT FROM namespaces n WHERE n.id = i.namespace_id AND n.deleted_at IS NOT NULL);

-- name: settled_erasures
-- Who was taken out of every partition, but for some.
SELECT user_number, name, version, wish, actor, namespace_id FROM intents
WHERE wish = 'erase' AND open = '{}' AND NOT user_number::text = ANY($1::text[]) ORDER BY version LIMIT 100;

-- name: lock_erasure
SELECT FROM intents WHERE user_number = $1 AND namespace_id = 0 AND version = $2 AND wish = 'erase' AND open = '{}' FOR UPDATE;

-- name: erase_meta
-- O(the user's grants).
DELETE FROM grant_meta m USING standings s, ledger l
WHERE s.user_number = $1 AND s."window" = 'all' AND l.namespace_id = s.namespace_id AND l.user_number = $1
  AND m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq;

-- name: erase_profile
-- Those of namespaces, too.
DELETE FROM profiles WHERE user_number = $1;

-- name: set_aside_of
-- What was set aside and holds a name. O(all that was), which are few.
SELECT partition, epoch, seq, entry FROM set_aside WHERE position(convert_to($1, 'UTF8') IN entry) > 0;

-- name: put_set_aside
UPDATE set_aside SET entry = $4 WHERE partition = $1 AND epoch = $2 AND seq = $3;

-- name: erase_name
UPDATE users SET name = $2 WHERE number = $1;

-- name: count_erasure
UPDATE deployment SET erasures = erasures + 1;

-- name: release_erased
-- The last step: the name may be used anew as soon as a partition has let go of it, in the namespaces where something was
-- wished for them, too. What hid them there is forgotten: they are hidden in the whole deployment for ever.
WITH forgotten AS (DELETE FROM hidden WHERE user_number = $1 AND namespace_id <> 0)
UPDATE intents i SET wish = 'release', open = (
    SELECT array_agg(p.partition) FROM partitions p
    WHERE i.namespace_id = 0 OR p.partition = (SELECT n.partition FROM namespaces n WHERE n.id = i.namespace_id))
WHERE user_number = $1;

-- name: erasures
SELECT erasures FROM deployment;

-- name: namespaces_of_partitions
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE partition = ANY($1::smallint[]) AND deleted_at IS NULL ORDER BY id;

-- name: changed_namespaces
-- Some partitions' namespaces whose rules have a version behind one, in that order.
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE partition = ANY($1::smallint[]) AND version > $2 AND deleted_at IS NULL ORDER BY version LIMIT $3;

-- name: deleted_lately
-- Namespaces that may be known to Redis though they are deleted, each with a new version of its rules.
SELECT id, name, partition, nextval('rules_version') AS version FROM (
    SELECT id, name, partition FROM namespaces
    WHERE partition = ANY($1::smallint[]) AND deleted_at > now() - interval '1 hour'
    ORDER BY deleted_at DESC LIMIT $2) AS lately;

-- name: is_namespace
SELECT FROM namespaces WHERE id = $1 AND deleted_at IS NULL;

-- name: wishes
-- A mark that changes with every wish for a user, and whether one is open in a partition.
SELECT coalesce(sum(version), 0) AS mark, coalesce(bool_or($1::smallint = ANY(open)), false) AS open FROM intents;

-- name: board_by_ledger
-- What the `all` board of a namespace is to hold: the sums of those who are shown, as far as the ledger has come (seq), and
-- what of it came behind an earlier seq ($3): rows, change, change of the squares; nulls where $4 entries and more lie
-- between. One statement, for all of it is of one moment. O(the namespace's users + entries between).
WITH head AS MATERIALIZED (SELECT epoch, seq FROM partitions WHERE partition = $1),
whole AS (
    SELECT count(*) FILTER (WHERE grants > 0) AS users, coalesce(sum(score), 0)::text AS scores,
           coalesce(sum(score::numeric * score), 0)::text AS squares
    FROM standings s WHERE namespace_id = $2 AND "window" = 'all'
    AND NOT EXISTS (SELECT FROM hidden h WHERE h.user_number = s.user_number AND h.namespace_id IN (0, $2))),
tail AS (
    SELECT count(*) AS rows, coalesce(sum(change), 0)::text AS change,
           coalesce(sum(coalesce(score, 0)::numeric ^ 2 - (coalesce(score, 0) - change)::numeric ^ 2), 0)::numeric(60)::text AS squares
    FROM head CROSS JOIN generate_series(0, head.epoch) AS e (epoch) CROSS JOIN LATERAL (
        SELECT change, score, user_number FROM ledger l
        WHERE l.partition = $1 AND l.epoch = e.epoch AND l.seq > $3 AND l.seq <= head.seq AND l.namespace_id + 0 = $2
          AND l.user_number IS NOT NULL AND head.seq - $3 < $4::bigint OFFSET 0) AS l
    WHERE NOT EXISTS (SELECT FROM hidden h WHERE h.user_number = l.user_number AND h.namespace_id IN (0, $2)))
SELECT head.seq, whole.users, whole.scores, whole.squares, head.seq - $3 < $4 AS is_near,
       tail.rows AS later, tail.change AS later_scores, tail.squares AS later_squares
FROM head, whole, tail;

-- name: ledger_gaps
-- Where a partition's seq does not go on by one, up to the last entry that it is known to hold.
SELECT l.seq, l.before, l.is_end FROM (
    SELECT seq, is_end, lag(seq, 1, 0::bigint) OVER (ORDER BY epoch, seq) AS before
    FROM (SELECT epoch, seq, false AS is_end FROM ledger WHERE partition = $1
          UNION ALL SELECT epoch, seq + 1, true FROM partitions WHERE partition = $1) AS x) AS l
WHERE l.seq <> l.before + 1 ORDER BY l.seq LIMIT 100;

-- name: rows_differing
-- Rows of a namespace that do not go on from their user's row before: each tells the score that it left and what it
-- changed. A user who is erased leaves the board without a change. O(n log n).
SELECT l.epoch, l.seq, u.name AS "user", l.before, l.change, l.score, l.amount, l.value FROM (
    SELECT epoch, seq, kind, user_number, amount, value, change, coalesce(score, 0) AS score,
           lag(coalesce(score, 0), 1, 0::bigint) OVER (PARTITION BY user_number ORDER BY seq) AS before
    FROM ledger WHERE namespace_id = $1 AND user_number IS NOT NULL) AS l
JOIN users u ON u.number = l.user_number
WHERE (l.before + l.change <> l.score OR (l.kind = 'grant' AND l.amount <> l.value))
  AND NOT EXISTS (SELECT FROM hidden h WHERE h.user_number = l.user_number AND h.erased)
ORDER BY l.seq LIMIT $2;

-- name: standings_differing
-- Where standings are not what the ledger's rows add up to.
SELECT u.name AS "user", s.score AS held, l.score AS wanted, s.grants AS held_grants, l.grants AS wanted_grants
FROM (SELECT user_number, sum(change)::bigint AS score, sum(weight)::bigint AS grants FROM (
          SELECT user_number, change, weight FROM ledger
          WHERE namespace_id = $1 AND user_number IS NOT NULL ORDER BY coalesce(verb, kind), seq OFFSET 0) AS r
      GROUP BY user_number) AS l
FULL JOIN (SELECT * FROM standings WHERE namespace_id = $1 AND "window" = 'all') AS s ON s.user_number = l.user_number
LEFT JOIN users u ON u.number = coalesce(s.user_number, l.user_number)
WHERE (s.score, s.grants) IS DISTINCT FROM (l.score, l.grants) LIMIT $2;

-- name: archives_differing
-- Archives of which the total, the sums, the hash or the last revision's record is not what their rows come to. sign: what
-- makes a key a score again. O(n log n).
SELECT a.board, a.total, a.keys_sum, a.squares_sum, t.total AS wanted_total, t.keys AS wanted_keys_sum,
       t.squares AS wanted_squares_sum, a.hash = t.hash AS is_signed,
       (v.seq, v.total, v.hash) IS NOT DISTINCT FROM (a.seq, a.total, a.hash) AS is_recorded
FROM archives a CROSS JOIN LATERAL (
    SELECT count(*) AS total, coalesce(sum(key), 0) AS keys, coalesce(sum(key::numeric * key), 0) AS squares,
           sha256(coalesce(string_agg(user_number || ' ' || $2::int * key, E'\n' ORDER BY user_number), '')::bytea) AS hash
    FROM archived WHERE archive_id = a.id) AS t
LEFT JOIN archive_revisions v ON v.archive_id = a.id AND v.revision = a.revision
WHERE a.namespace_id = $1 AND ((a.total, a.keys_sum, a.squares_sum, a.hash) IS DISTINCT FROM (t.total, t.keys, t.squares, t.hash)
    OR (v.seq, v.total, v.hash) IS DISTINCT FROM (a.seq, a.total, a.hash)) ORDER BY 1 LIMIT $3;

-- name: archived_scores_differing
-- Where archives are not what the grants of their windows come to, as window_scores tells it, by now: what came behind a
-- seal and is still to follow leaves its user out, and nobody else. All windows in one walk: O(the ledger × log n). Without
-- a user: the whole archive is gone.
WITH closed AS MATERIALIZED (SELECT "window" FROM seals WHERE namespace_id = $1 AND archived_at IS NOT NULL),
live AS (
    SELECT user_number, value, granted_at, category, windows, first_seq FROM (
        SELECT user_number, value, granted_at, category, windows, voided,
               min(coalesce(original_seq, seq)) OVER (PARTITION BY grant_id) AS first_seq,
               row_number() OVER (PARTITION BY grant_id ORDER BY revision DESC) AS place
        FROM ledger WHERE namespace_id = $1 AND kind IN ('grant', 'correction')) AS l
    WHERE place = 1 AND NOT voided),
wanted AS (
    SELECT c."window", b.board, user_number, $2::int *
           CASE $3::text WHEN 'sum' THEN sum(value)::bigint WHEN 'highest' THEN max(value) WHEN 'lowest' THEN min(value)
                ELSE (array_agg(value ORDER BY granted_at DESC, first_seq DESC))[1] END AS key,
           tie_of(max(tie_key($3, value, granted_at, first_seq)) FILTER (WHERE $6::boolean)) AS since
    FROM live CROSS JOIN LATERAL unnest(windows) AS w (name) JOIN closed c ON c."window" = w.name
    CROSS JOIN LATERAL (VALUES (w.name), (CASE WHEN $4::boolean THEN w.name || ':' || category END)) AS b (board)
    WHERE b.board IS NOT NULL GROUP BY 1, 2, 3),
held AS (
    SELECT a."window", a.board, r.user_number, r.key, r.since FROM closed c
    JOIN archives a ON a.namespace_id = $1 AND a."window" = c."window" JOIN archived r ON r.archive_id = a.id),
differing AS (
    SELECT board, "window", user_number, h.key AS held, w.key AS wanted, h.since AS held_since, w.since AS wanted_since
    FROM held h FULL JOIN wanted w USING ("window", board, user_number)
    WHERE (h.key IS DISTINCT FROM w.key OR ($6 AND h.since <> w.since)) AND NOT EXISTS (
        SELECT FROM archive_todo t
        WHERE t.namespace_id = $1 AND t."window" = coalesce(h."window", w."window")
          AND t.user_number = coalesce(h.user_number, w.user_number)))
SELECT board, NULL::bigint AS number, NULL::text AS "user", NULL::bigint AS held, NULL::bigint AS wanted,
       NULL::numeric AS held_since, NULL::numeric AS wanted_since
FROM (SELECT board FROM differing UNION SELECT "window" FROM closed) AS b
WHERE NOT EXISTS (SELECT FROM archives a WHERE a.namespace_id = $1 AND a.board = b.board)
UNION ALL
SELECT d.board, d.user_number, u.name, d.held, d.wanted, d.held_since, d.wanted_since FROM differing d
JOIN archives a ON a.namespace_id = $1 AND a.board = d.board JOIN users u ON u.number = d.user_number
ORDER BY 1, 2 LIMIT $5;

-- name: archived_places_differing
-- Rows of archives whose position, count of better users or of better scores is not what their keys, seqs and names make of
-- them, as find_moved has it. A name by which an erased user stood among equals is not known: there any order is right.
-- O(n log n).
WITH held AS (
    SELECT a.id, a.board, u.name, r.position, r.key, r.since, r.better, r.levels,
           bool_or(coalesce(h.erased, false)) OVER (PARTITION BY a.id, r.key, r.since) AS any_order
    FROM archives a JOIN archived r ON r.archive_id = a.id JOIN users u ON u.number = r.user_number
    LEFT JOIN hidden h ON h.user_number = r.user_number AND h.erased WHERE a.namespace_id = $1)
SELECT * FROM (
    SELECT board, name AS "user", position, better, levels,
           row_number() OVER (PARTITION BY id ORDER BY key DESC, since, CASE WHEN any_order THEN '' ELSE name END COLLATE "C" DESC,
                              position) AS wanted_position,
           rank() OVER w - 1 AS wanted_better, dense_rank() OVER w - 1 AS wanted_levels
    FROM held WINDOW w AS (PARTITION BY id ORDER BY key DESC)) AS p
WHERE (position, better, levels) <> (wanted_position, wanted_better, wanted_levels) ORDER BY board, wanted_position LIMIT $2;

-- name: veiled_differing
-- Who is hidden and stands in an archive without the mark that says so, and marks of those who are not hidden or do not
-- stand there. O(n log n).
SELECT a.board, u.name AS "user", v.user_number IS NOT NULL AS is_veiled
FROM (SELECT DISTINCT r.archive_id, r.user_number FROM archives a JOIN archived r ON r.archive_id = a.id
      JOIN hidden h ON h.user_number = r.user_number AND h.namespace_id IN (0, $1) WHERE a.namespace_id = $1) AS h
FULL JOIN (SELECT v.archive_id, v.user_number FROM archives a JOIN veiled v ON v.archive_id = a.id
           WHERE a.namespace_id = $1) AS v ON v.archive_id = h.archive_id AND v.user_number = h.user_number
JOIN archives a ON a.id = coalesce(h.archive_id, v.archive_id)
LEFT JOIN users u ON u.number = coalesce(h.user_number, v.user_number)
WHERE h.user_number IS NULL OR v.user_number IS NULL ORDER BY 1, 2 LIMIT $2;

-- name: moments_of
-- The first and the last moment of a namespace's grants, by granted time or by that of recording. O(its rows).
SELECT min(least(granted_at, recorded_at)) AS first, max(greatest(granted_at, recorded_at)) AS last FROM (
    SELECT granted_at, recorded_at FROM ledger WHERE namespace_id = $1 AND kind || '' IN ('grant', 'correction')
    ORDER BY coalesce(verb, kind), seq OFFSET 0) AS l;

-- name: counts_differing
-- Where the counts by time of a namespace are not what its rows come to, up to the row that they have come to: users' and
-- the namespace's hours and days anew from the ledger; minutes and hundredths of seconds by what their hours hold. The
-- days are found in an array of their beginnings. user: null of the namespace's own. O(n log n).
WITH zone AS MATERIALIZED (SELECT partition FROM namespaces WHERE id = $1),
latest AS MATERIALIZED (
    SELECT user_number, value, granted_at, first_at FROM (
        SELECT l.user_number, l.value, l.granted_at, l.voided, row_number() OVER w AS place,
               min(l.recorded_at) OVER (PARTITION BY l.grant_id) AS first_at
        FROM zone z JOIN partitions p ON p.partition = z.partition
        CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE namespace_id = $1 AND seq + 0 <= p.counted_seq AND kind || '' IN ('grant', 'correction')
            ORDER BY coalesce(verb, kind), seq OFFSET 0) AS l
        WINDOW w AS (PARTITION BY l.grant_id ORDER BY l.revision DESC)) AS r
    WHERE place = 1 AND NOT voided),
days AS MATERIALIZED (SELECT $3::timestamptz[] AS starts),
hours AS MATERIALIZED (
    SELECT user_number, day, date_bin('1 hour', moment, day) AS at, sum(grants) AS grants, sum(amount) AS amount,
           sum(recorded) AS recorded, sum(recorded_amount) AS recorded_amount
    FROM (SELECT r.user_number, m.*, d.starts[width_bucket(m.moment, d.starts)] AS day
          FROM latest r CROSS JOIN days d CROSS JOIN LATERAL (
              VALUES (r.granted_at, 1, r.value, 0, 0), (r.first_at, 0, 0, 1, r.value)
          ) AS m (moment, grants, amount, recorded, recorded_amount) OFFSET 0) AS placed
    GROUP BY 1, 2, 3),
wanted AS MATERIALIZED (
    SELECT user_number, 1 AS level, at, grants, amount, recorded, recorded_amount FROM hours
    UNION ALL SELECT user_number, 0, day, sum(grants), sum(amount), sum(recorded), sum(recorded_amount) FROM hours GROUP BY 1, 3),
held AS MATERIALIZED (
    SELECT a.* FROM standings s
    CROSS JOIN LATERAL (SELECT * FROM activity WHERE user_number = s.user_number AND namespace_id = $1 OFFSET 0) AS a
    WHERE s.namespace_id = $1 AND s."window" = 'all'),
fine AS (
    SELECT f.user_number, f.level, h.at, sum(f.grants) AS grants, sum(f.amount) AS amount, sum(f.recorded) AS recorded,
           sum(f.recorded_amount) AS recorded_amount, min(h.grants) AS hour_grants, min(h.amount) AS hour_amount,
           min(h.recorded) AS hour_recorded, min(h.recorded_amount) AS hour_recorded_amount
    FROM (SELECT user_number, level, at, grants, amount, recorded, recorded_amount, fine FROM held
          UNION ALL SELECT NULL, level, at, grants, amount, recorded, recorded_amount, level = 1 FROM trends
                    WHERE namespace_id = $1) AS f
    CROSS JOIN days d
    JOIN (SELECT user_number, at, grants, amount, recorded, recorded_amount FROM held WHERE level = 1 AND fine
          UNION ALL SELECT NULL, at, grants, amount, recorded, recorded_amount FROM trends
                    WHERE namespace_id = $1 AND level = 1) AS h
      ON h.user_number IS NOT DISTINCT FROM f.user_number
         AND h.at = date_bin('1 hour', f.at, d.starts[width_bucket(f.at, d.starts)])
    WHERE f.level > 1 GROUP BY 1, 2, 3),
told AS (
    SELECT u.number AS user_number, level, at, h.grants, h.amount, h.recorded, h.recorded_amount, NULL::bigint AS users,
           w.grants, w.amount, w.recorded, w.recorded_amount, NULL::bigint
    FROM (SELECT * FROM held WHERE level < 2) AS h
    FULL JOIN wanted w USING (user_number, level, at) JOIN users u ON u.number = user_number
    UNION ALL
    SELECT NULL, level, at, h.grants, h.amount, h.recorded, h.recorded_amount, h.users,
           w.grants, w.amount, w.recorded, w.recorded_amount, w.users
    FROM (SELECT * FROM trends WHERE namespace_id = $1 AND level < 2) AS h
    FULL JOIN (SELECT level, at, sum(grants) AS grants, sum(amount) AS amount, sum(recorded) AS recorded,
                      sum(recorded_amount) AS recorded_amount, count(*) FILTER (WHERE grants > 0) AS users
               FROM wanted GROUP BY 1, 2) AS w USING (level, at)
    UNION ALL
    SELECT user_number, level, at, grants, amount, recorded, recorded_amount, NULL,
           hour_grants, hour_amount, hour_recorded, hour_recorded_amount, NULL FROM fine)
SELECT u.name AS "user", t.* FROM told AS t (
    user_number, level, at, grants, amount, recorded, recorded_amount, users,
    wanted_grants, wanted_amount, wanted_recorded, wanted_recorded_amount, wanted_users)
LEFT JOIN users u ON u.number = t.user_number
WHERE (coalesce(grants, 0), coalesce(amount, 0), coalesce(recorded, 0), coalesce(recorded_amount, 0), coalesce(users, 0))
   <> (coalesce(wanted_grants, 0), coalesce(wanted_amount, 0), coalesce(wanted_recorded, 0),
       coalesce(wanted_recorded_amount, 0), coalesce(wanted_users, 0))
ORDER BY at, level, 1 LIMIT $2;

-- name: live_differing
-- Live grants of a namespace that are not what its rows come to, up to the row that they have come to. seq: that of the
-- revision. O(n log n).
WITH space AS MATERIALIZED (
    SELECT n.rules ->> 'aggregation' = 'best' AS best, CASE n.rules ->> 'order' WHEN 'asc' THEN -1 ELSE 1 END AS sign,
           p.counted_seq
    FROM namespaces n JOIN partitions p ON p.partition = n.partition WHERE n.id = $1),
latest AS (
    SELECT * FROM (
        SELECT l.user_number, l.value, l.granted_at, l.windows, l.voided, l.epoch, l.seq, row_number() OVER w AS place,
               min(coalesce(l.original_seq, l.seq)) OVER (PARTITION BY l.grant_id) AS first_seq
        FROM space s CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE namespace_id = $1 AND seq + 0 <= s.counted_seq AND kind || '' IN ('grant', 'correction')
            ORDER BY coalesce(verb, kind), seq OFFSET 0) AS l
        WINDOW w AS (PARTITION BY l.grant_id ORDER BY l.revision DESC)) AS r
    WHERE place = 1 AND NOT voided),
wanted AS (
    SELECT l.user_number, w.name AS "window", CASE WHEN s.best THEN s.sign * l.value ELSE 0 END AS key, l.granted_at,
           l.first_seq, l.epoch, l.seq
    FROM latest l CROSS JOIN space s CROSS JOIN LATERAL unnest(CASE WHEN s.best THEN l.windows ELSE '{all}' END) AS w (name)),
held AS (
    SELECT g.* FROM standings t CROSS JOIN LATERAL (
        SELECT user_number, "window", key, granted_at, first_seq, epoch, seq FROM live_grants
        WHERE user_number = t.user_number AND namespace_id = $1 OFFSET 0) AS g
    WHERE t.namespace_id = $1 AND t."window" = 'all')
SELECT u.name AS "user", d."window", d.first_seq, d.seq, d.is_held FROM (
    SELECT *, true AS is_held FROM (SELECT * FROM held EXCEPT SELECT * FROM wanted) AS h
    UNION ALL SELECT *, false FROM (SELECT * FROM wanted EXCEPT SELECT * FROM held) AS w) AS d
JOIN users u ON u.number = d.user_number ORDER BY d.first_seq, d."window", d.is_held LIMIT $2;

-- name: quarantined_differing
-- Grants that are listed as waiting in quarantine and do not wait, or wait and are not listed as they are. O(grants that were
-- ever in quarantine × log).
WITH wanted AS MATERIALIZED (
    SELECT l.seq, l.grant_id, l.source, l.source_id FROM ledger l
    WHERE l.namespace_id = $1 AND coalesce(l.verb, l.kind) = 'quarantine' AND l.kind || '' = 'grant' AND NOT EXISTS (
        SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id AND c.kind = 'correction'
        OFFSET 0)),
held AS MATERIALIZED (SELECT seq, grant_id, source, source_id FROM quarantined WHERE namespace_id = $1)
SELECT seq, grant_id, is_held FROM (
    SELECT *, true AS is_held FROM (SELECT * FROM held EXCEPT SELECT * FROM wanted) AS h
    UNION ALL SELECT *, false FROM (SELECT * FROM wanted EXCEPT SELECT * FROM held) AS w) AS d
ORDER BY seq, is_held LIMIT $2;

-- name: users_counted
-- How many users the quota of a namespace counts as of a seq, by the ledger: those with an entry that was applied, but for
-- some. O(users × log).
SELECT count(*) AS users FROM standings s
WHERE s.namespace_id = $1 AND s."window" = 'all' AND s.user_number <> ALL($3::bigint[]) AND EXISTS (
    SELECT FROM ledger l WHERE l.namespace_id = $1 AND l.user_number = s.user_number AND l.seq <= $2
    AND l.verb IS DISTINCT FROM 'quarantine' OFFSET 0);

-- name: users_by_namespace
-- How many users have an entry in each namespace.
SELECT n.id, count(s.user_number) AS users FROM namespaces n
LEFT JOIN standings s ON s.namespace_id = n.id AND s."window" = 'all' WHERE n.deleted_at IS NULL GROUP BY n.id;

-- name: users_of_namespace
-- Who has an entry in a namespace, erased users, too.
SELECT s.user_number AS number, u.name FROM standings s JOIN users u ON u.number = s.user_number
WHERE s.namespace_id = $1 AND s."window" = 'all';

-- name: known_users
-- Those of some names who have an entry in a namespace. O(log n) each.
SELECT x.name FROM (SELECT DISTINCT unnest($2::text[]) AS name) AS x
WHERE EXISTS (
    SELECT FROM standings WHERE user_number = (SELECT number FROM users WHERE name = x.name)
    AND namespace_id = $1 AND "window" = 'all' OFFSET 0);

-- name: veils
-- Who is or was off the boards of a namespace ($3), by its own wish or that of the deployment, and whether what was wished
-- for last is still open in its partition: of some, or of all.
SELECT user_number AS number, i.name, i.version, i.wish, coalesce($1::smallint = ANY(i.open), false) AS open,
       coalesce(h.erased, false) AS erased
FROM intents i FULL JOIN hidden h USING (user_number, namespace_id)
WHERE namespace_id IN (0, $3::int) AND ($2::bigint[] IS NULL OR user_number = ANY($2)) ORDER BY 1, namespace_id;

-- name: set_aside_of_namespace
-- What the boards of a namespace counted and the ledger could not hold as what it is: duplicates and dead letters, each
-- with the seq of the entry that took it back or recorded it after all (null: none yet).
SELECT a.epoch, a.seq, a.healed_seq, a.reason, a.cause, u.number, u.name FROM set_aside a
CROSS JOIN LATERAL (
    SELECT user_number FROM ledger
    WHERE partition = a.partition AND epoch = a.epoch AND seq = a.seq AND namespace_id + 0 = $2 OFFSET 0) AS l
LEFT JOIN users u ON u.number = l.user_number
WHERE a.partition = $1;

-- name: wanted_cells
-- What the ledger says of some users of a namespace, each up to a seq, cell by cell; `seq`: their last grant or correction;
-- time: where the latest counts, the granted_at (µs) of the grant that the number is; tie: where the line goes by moments
-- ($7), a score's place in it.
-- Each look-up is one of its whole key, whatever the planner knows of the table; grants that are alike in all but amount and
-- moment are summed up before they are spread over their cells. O(those users' grants × log).
WITH latest AS MATERIALIZED (
    SELECT * FROM (
        SELECT x.number, l.value, l.granted_at, l.category, l.source, l.day, l.windows, l.voided, l.seq,
               row_number() OVER w AS place,
               min(coalesce(l.original_seq, l.seq)) OVER (PARTITION BY x.number, l.grant_id) AS first_seq
        FROM unnest($2::bigint[], $3::bigint[]) AS x (number, seq)
        CROSS JOIN LATERAL (
            SELECT value, granted_at, category, source, day, windows, voided, seq, grant_id, revision, original_seq
            FROM ledger
            WHERE namespace_id = $1 AND user_number = x.number AND seq <= x.seq
              AND kind IN ('grant', 'correction') OFFSET 0) AS l
        WINDOW w AS (PARTITION BY x.number, l.grant_id ORDER BY l.revision DESC)) AS r
    WHERE place = 1),
alike AS MATERIALIZED (
    SELECT number, windows, category, source, day, count(*) AS grants, sum(value) AS total, max(value) AS highest,
           min(value) AS lowest, max(granted_at) AS last,
           max(ARRAY[(extract(epoch FROM granted_at) * 1000000)::bigint, first_seq, value])
               FILTER (WHERE $4::text = 'latest') AS latest,
           max(tie_key($4, value, granted_at, first_seq)) FILTER (WHERE $7::boolean) AS line_key
    FROM latest WHERE NOT voided GROUP BY 1, 2, 3, 4, 5)
SELECT number, CASE WHEN name IS NULL THEN kind ELSE kind || ':' || name END AS cell,
       CASE $4 WHEN 'sum' THEN sum(total)::bigint WHEN 'highest' THEN max(highest) WHEN 'lowest' THEN min(lowest)
            ELSE (max(latest))[3] END AS value, (max(latest))[1] AS time,
       CASE WHEN $7 AND kind = 'b' THEN tie_of(max(line_key)) END AS tie
FROM alike CROSS JOIN LATERAL (
    SELECT 'b' AS kind, w AS name FROM unnest(windows) AS w WHERE NOT w = ANY($6::text[])
    UNION ALL SELECT 'b', w || ':' || category FROM unnest(windows) AS w
              WHERE $5::boolean AND category IS NOT NULL AND NOT w = ANY($6)
    UNION ALL SELECT 'total', NULL
    UNION ALL SELECT 'c', category WHERE category IS NOT NULL
    UNION ALL SELECT 's', source WHERE source IS NOT NULL) AS cells
GROUP BY number, kind, name
UNION ALL SELECT number, 'count', sum(grants)::bigint, NULL, NULL FROM alike GROUP BY number
UNION ALL SELECT number, 'last', (extract(epoch FROM max(last)) * 1000000)::bigint, NULL, NULL FROM alike GROUP BY number
UNION ALL SELECT number, 'd:' || day, 1, NULL, NULL FROM alike WHERE day IS NOT NULL GROUP BY number, day
UNION ALL SELECT number, 'seq', max(seq), NULL, NULL FROM latest GROUP BY number;

-- name: count_user_rows
-- How many rows some users have in a namespace, $3 of all of them together at most; those without any are left out.
-- O(rows told).
SELECT number, count(*) AS rows
FROM (SELECT x.number FROM unnest($2::bigint[]) AS x (number)
      CROSS JOIN LATERAL (
          SELECT FROM ledger WHERE namespace_id = $1 AND user_number = x.number OFFSET 0) AS l
      LIMIT $3) AS counted
GROUP BY number;

-- name: score_events
-- What each entry of some users put onto boards and took off them, each up to a seq, in the order of the log: of a
-- correction also what the revision before it had put there. A duplicate, or a dead letter that was taken off, is a grant
-- of its own, which its heal voids: both have the heal's name behind a tab, which no client's grant_id holds. A dead letter
-- that was recorded after all stands at its own place.
SELECT x.number, l.seq, l.grant_id, l.first_seq, l.windows, l.category, l.granted_at, l.value, l.voided,
       l.old_windows, l.old_category, l.old_value, l.old_voided
FROM unnest($2::bigint[], $3::bigint[]) AS x (number, seq)
CROSS JOIN LATERAL (
    SELECT *, min(seq) OVER (PARTITION BY grant_id) AS first_seq,
           lag(windows) OVER w AS old_windows, lag(category) OVER w AS old_category, lag(value) OVER w AS old_value,
           lag(voided) OVER w AS old_voided
    FROM (SELECT coalesce(original_seq, seq) AS seq, revision, windows, category, granted_at, value,
                 kind = 'heal' OR voided AS voided,
                 CASE WHEN kind IN ('duplicate', 'tombstone') THEN E'\theal:' || epoch || '-' || seq
                      WHEN kind = 'heal' THEN E'\t' || grant_id ELSE grant_id END AS grant_id
          FROM ledger l WHERE namespace_id = $1 AND user_number = x.number AND seq <= x.seq
            AND (kind IN ('grant', 'correction', 'duplicate', 'heal')
                 OR (kind = 'tombstone' AND revision = 1 AND value IS NOT NULL AND EXISTS (
                     SELECT FROM ledger h WHERE h.namespace_id = l.namespace_id AND h.kind = 'heal' AND h.revision = 1
                     AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq OFFSET 0)))) AS named
    WINDOW w AS (PARTITION BY grant_id ORDER BY revision, seq)) AS l
ORDER BY x.number, l.seq;
