-- name: get_namespaces
-- All namespaces that are not deleted, by name. O(namespaces).
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE deleted_at IS NULL ORDER BY name;

-- name: get_namespace
-- A namespace that is not deleted, by name. No row where there is none. O(log n).
SELECT id, name, partition, version, rules::text, latest_acceptable_at, has_user_data, accept_future_max FROM namespaces
WHERE name = $1 AND deleted_at IS NULL;

-- name: create_namespace
-- Its audit is one statement with it, here and below: the id is drawn behind the row's lock, so ids commit in order. $4 is
-- the key that makes it. A season that was over before anybody wrote of it, by the clock of Redis ($6), has no event of its
-- beginning.
WITH made AS (
    INSERT INTO namespaces (name, partition, rules, created_by) VALUES ($1, $2, $3::jsonb, $4)
    ON CONFLICT (name) WHERE deleted_at IS NULL DO NOTHING RETURNING id, version, accept_future_max),
past AS (
    INSERT INTO opened_seasons SELECT id, s ->> 'name' FROM made, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE (s ->> 'ends')::timestamptz <= $6::timestamptz),
event AS (INSERT INTO audit (namespace_id, type, actor, body) SELECT id, 'namespace_created', $4, $5::json FROM made)
SELECT id, version, accept_future_max FROM made;

-- name: count_namespaces_of_key
-- How many namespaces a key made that are there, counted up to $2. O(what is counted).
SELECT count(*) AS made FROM (SELECT FROM namespaces WHERE created_by = $1 AND deleted_at IS NULL LIMIT $2) AS n;

-- name: update_namespace
-- body: null where the rules stay as they are, which is no event; reach: how far ahead a grant may lie by the old ones, as
-- it was when they were read; $8: the moment, by the clock of Redis, by which a season is over or yet to come.
WITH changed AS (
    UPDATE namespaces SET rules = $3::jsonb, partition = $4, version = nextval('rules_version'), latest_acceptable_at = greatest(latest_acceptable_at, $7)
    WHERE id = $1 AND version = $2 AND latest_acceptable_at <= $7 AND deleted_at IS NULL AND (partition = $4 OR NOT has_user_data)
    RETURNING id, version, accept_future_max),
past AS (
    INSERT INTO opened_seasons SELECT id, s ->> 'name' FROM changed, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE (s ->> 'ends')::timestamptz <= $8::timestamptz
      AND NOT EXISTS (SELECT FROM namespaces n WHERE n.id = changed.id AND n.rules -> 'seasons' @> jsonb_build_array(s))
    ON CONFLICT DO NOTHING),
coming AS (
    DELETE FROM opened_seasons o USING changed, jsonb_array_elements($3::jsonb -> 'seasons') AS s
    WHERE o.namespace_id = changed.id AND o.season = s ->> 'name' AND (s ->> 'starts')::timestamptz > $8::timestamptz),
event AS (
    INSERT INTO audit (namespace_id, type, actor, body)
    SELECT id, 'namespace_changed', $5, $6::json FROM changed WHERE $6::json IS NOT NULL)
SELECT version, accept_future_max FROM changed;

-- name: renew_rules_version
-- The same rules under a new version, unless somebody changed them since they were read.
UPDATE namespaces SET version = nextval('rules_version')
WHERE id = $1 AND version = $2 AND deleted_at IS NULL RETURNING version;

-- name: delete_namespace
-- Marks a namespace as deleted, with its event. No row where there is none of that name. version: a new version of its rules.
-- O(log n + open dead letters).
WITH deleted AS (
    UPDATE namespaces SET deleted_at = now() WHERE name = $1 AND deleted_at IS NULL
    RETURNING id, partition, nextval('rules_version') AS version),
event AS (INSERT INTO audit (namespace_id, type, actor) SELECT id, 'namespace_deleted', $2 FROM deleted),
settled AS (
    -- Its dead letters: no board is left that they could be taken off.
    UPDATE dead_letters a SET healed_seq = a.seq FROM deleted d
    WHERE a.partition = d.partition AND a.healed_seq IS NULL AND a.reason <> 'duplicate' AND a.namespace_id = d.id)
SELECT id, partition, version FROM deleted;

-- name: has_ledger_rows
-- Whether the ledger holds anything of a namespace, whatever became of it. O(log n).
SELECT EXISTS (SELECT FROM ledger WHERE partition = partition_of($1) AND namespace_id = $1) AS has_rows;

-- name: get_former_partitions
-- The other partitions ($2 is the namespace's own) in which namespaces of this name lay that were deleted. O(log n + those of
-- the name).
SELECT DISTINCT partition FROM namespaces WHERE name = $1 AND partition <> $2 AND deleted_at IS NOT NULL;

-- name: get_rules
-- The rules of a namespace, deleted or not.
SELECT rules::text FROM namespaces WHERE id = $1;

-- name: get_rules_of_namespaces
-- The rules of some namespaces that are not deleted.
SELECT id, rules::text FROM namespaces WHERE id = ANY($1::int[]) AND deleted_at IS NULL ORDER BY id;

-- fragment: zone_of_rules
-- The zone of a namespace's rules. day_offset: how long after midnight, by the clock, its days begin.
coalesce(rules ->> 'timezone', 'UTC') AS zone, coalesce(rules ->> 'day_starts', '00:00')::interval AS day_offset

-- name: get_zones_of_namespaces
-- The zones of some namespaces, deleted or not. O(log n) each.
SELECT id,
-- include: zone_of_rules
FROM namespaces WHERE id = ANY($1::int[]);

-- name: raise_latest_acceptable
-- The latest granted_at that was ever acceptable never falls.
UPDATE namespaces SET latest_acceptable_at = $2 WHERE id = $1 AND latest_acceptable_at < $2;

-- name: get_next_rules_version
-- A version that is greater than all before.
SELECT nextval('rules_version') AS version;

-- name: is_namespace_alive
-- A row if a namespace is there and not deleted.
SELECT FROM namespaces WHERE id = $1 AND deleted_at IS NULL;

-- name: find_namespace_by_name
-- The namespace that bears a name or bore it last, or the one of that name with an id.
SELECT id, name, partition, version, rules::text FROM namespaces
WHERE name = $1 AND ($2::int IS NULL OR id = $2) ORDER BY id DESC LIMIT 1;

-- name: lock_namespaces
-- Locks some namespaces in the order of their ids, so that no two transactions wait for each other.
SELECT FROM namespaces WHERE id = ANY($1::int[]) ORDER BY id FOR NO KEY UPDATE;

-- name: bind_namespaces
-- Namespaces of which the ledger gets rows stay in their partitions from here on. Tells where those are, but for one that
-- somebody else is just binding, or that is not known. O(log n) each.
WITH newly AS (
    UPDATE namespaces SET has_user_data = true WHERE id = ANY($1::int[]) AND NOT has_user_data RETURNING id, partition)
SELECT id, partition FROM newly
UNION ALL SELECT id, partition FROM namespaces WHERE id = ANY($1) AND has_user_data;

-- name: mark_has_user_data
-- A namespace that keeps something of users alone stays in its partition from here on.
UPDATE namespaces SET has_user_data = true WHERE id = $1 AND NOT has_user_data;

-- name: get_namespaces_of_user
-- Where a user has grants, by name, behind a name. O(the user's namespaces).
SELECT n.id, n.name, n.partition, n.version, n.rules::text
FROM (
    SELECT namespace_id FROM standings
    WHERE user_number = (SELECT number FROM users WHERE name = $1) OFFSET 0) AS s
CROSS JOIN LATERAL (SELECT * FROM namespaces WHERE id = s.namespace_id LIMIT 1) AS n
WHERE n.deleted_at IS NULL AND ($2::text IS NULL OR n.name COLLATE "C" > $2)
ORDER BY n.name COLLATE "C";

-- name: get_namespaces_by_id
-- Some namespaces, deleted ones too. O(log n) each.
SELECT id, name, partition, version, rules::text, accept_future_max, deleted_at IS NOT NULL AS is_deleted
FROM namespaces WHERE id = ANY($1::int[]);

-- name: get_namespaces_of_partitions
-- The namespaces of some partitions that are not deleted, by id. O(namespaces).
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE partition = ANY($1::smallint[]) AND deleted_at IS NULL ORDER BY id;

-- name: get_changed_namespaces
-- Some partitions' namespaces whose rules have a version behind one, in that order.
SELECT id, name, partition, version, rules::text, accept_future_max FROM namespaces
WHERE partition = ANY($1::smallint[]) AND version > $2 AND deleted_at IS NULL ORDER BY version LIMIT $3;

-- name: get_deleted_namespace
-- A namespace that is deleted, with a rules version for what removes it from Redis.
SELECT id, partition, nextval('rules_version') AS version FROM namespaces WHERE id = $1 AND deleted_at IS NOT NULL;

-- name: get_recently_deleted_namespaces
-- Namespaces that may be known to Redis though they are deleted, each with a new version of its rules.
SELECT id, name, partition, nextval('rules_version') AS version FROM (
    SELECT id, name, partition FROM namespaces
    WHERE partition = ANY($1::smallint[]) AND deleted_at > now() - interval '1 hour'
    ORDER BY deleted_at DESC LIMIT $2) AS lately;

-- name: get_undropped_namespaces
-- Deleted namespaces of some partitions whose data was not removed yet, each with a new version of its rules. O(namespaces).
SELECT partition, id, nextval('rules_version') AS version FROM namespaces
WHERE partition = ANY($1::smallint[]) AND deleted_at IS NOT NULL AND dropped_at IS NULL;

-- name: delete_archive_rows
-- Some rows of some deleted namespaces' archives.
DELETE FROM archive_rows WHERE (archive_id, position) IN (
    SELECT r.archive_id, r.position FROM archived_boards a
    CROSS JOIN LATERAL (SELECT archive_id, position FROM archive_rows WHERE archive_id = a.id LIMIT $2) AS r
    WHERE a.namespace_id = ANY($1::int[]) LIMIT $2);

-- name: delete_archived_boards
-- Some of their archives that have no rows left.
WITH doomed AS (SELECT id FROM archived_boards WHERE namespace_id = ANY($1::int[]) LIMIT $2),
revisions AS (DELETE FROM archive_revisions WHERE archive_id IN (SELECT id FROM doomed)),
marks AS (DELETE FROM hidden_archive_users WHERE archive_id IN (SELECT id FROM doomed))
DELETE FROM archived_boards WHERE id IN (SELECT id FROM doomed);

-- name: delete_pending_archive_updates
-- Deletes up to $2 pending archive updates of some deleted namespaces. O($2 × log n).
-- By their places: a join would be planned for a tenth of the table, as the limit is not known.
DELETE FROM pending_archive_updates WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM pending_archive_updates WHERE namespace_id = ANY($1::int[]) LIMIT $2));

-- name: delete_quarantined_grants
-- Deletes up to $2 of their rows of quarantine. O($2 × log n).
DELETE FROM quarantined_grants WHERE (namespace_id, seq) IN (
    SELECT namespace_id, seq FROM quarantined_grants WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: delete_seals
-- Deletes up to $2 of their seals. O($2 × log n).
DELETE FROM seals WHERE (namespace_id, "window") IN (
    SELECT namespace_id, "window" FROM seals WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: mark_namespaces_dropped
-- Notes that the data of some deleted namespaces is removed. Their hidden users and profiles are deleted here, and their dead
-- letters settled. O(those).
WITH forgotten AS (DELETE FROM hidden_users WHERE namespace_id = ANY($1::int[])),
nameless AS (DELETE FROM profiles WHERE namespace_id = ANY($1)),
compared AS (DELETE FROM comparisons WHERE namespace_id = ANY($1)),
settled AS (
    -- Letters that came behind the deletion.
    UPDATE dead_letters SET healed_seq = seq
    WHERE healed_seq IS NULL AND reason <> 'duplicate' AND namespace_id = ANY($1))
UPDATE namespaces SET dropped_at = now() WHERE id = ANY($1::int[]);
