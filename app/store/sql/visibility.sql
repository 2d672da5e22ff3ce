-- name: lock_user
-- A user's number. It locks the user, so that changes of one user wait for each other, and each sees the one before.
SELECT number FROM users WHERE name = $1 FOR NO KEY UPDATE;

-- name: get_user_visibility
-- Why a user is off the boards of a namespace ($2; 0: of all), and what was wished for last; nulls where neither holds.
SELECT h.by_admin, h.opted_out, i.user_number, i.name, i.version, i.desired_state, i.actor, i.pending_partitions, u.namespace_id
FROM (SELECT $1::bigint AS number, $2::int AS namespace_id) u
LEFT JOIN hidden_users h ON h.user_number = u.number AND h.namespace_id = u.namespace_id
LEFT JOIN visibility_intents i ON i.user_number = u.number AND i.namespace_id = u.namespace_id;

-- name: put_hidden_user
-- Records why a user is hidden in a namespace ($2; 0: everywhere). O(log n).
INSERT INTO hidden_users (user_number, namespace_id, by_admin, opted_out, erased) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET by_admin = excluded.by_admin, opted_out = excluded.opted_out, erased = excluded.erased;

-- name: delete_hidden_user
-- The marks stay where the user is hidden still: in the deployment, or in an archive's namespace.
WITH shown AS (
    DELETE FROM hidden_archive_users v USING archived_boards a
    WHERE v.user_number = $1 AND a.id = v.archive_id AND $2 IN (0, a.namespace_id) AND NOT EXISTS (
        SELECT FROM hidden_users h
        WHERE h.user_number = $1 AND h.namespace_id <> $2 AND h.namespace_id IN (0, a.namespace_id)))
DELETE FROM hidden_users WHERE user_number = $1 AND namespace_id = $2::int;

-- name: share_hidden_archive_users
-- Runs before a hidden user is marked in archives: writers of archives wait, or this waits for them.
LOCK TABLE hidden_archive_users IN ROW EXCLUSIVE MODE;

-- name: hide_user_in_archives
-- Marks a user in the archives in which they stand, of one namespace or ($2 = 0) of all. O(archives of the user's
-- namespaces × log n).
INSERT INTO hidden_archive_users (namespace_id, archive_id, user_number)
SELECT a.namespace_id, a.id, $1 FROM standings s
CROSS JOIN LATERAL (SELECT id, namespace_id FROM archived_boards WHERE namespace_id = s.namespace_id OFFSET 0) AS a
CROSS JOIN LATERAL (SELECT FROM archive_rows r WHERE r.archive_id = a.id AND r.user_number = $1 LIMIT 1) AS archive_row
WHERE s.user_number = $1 AND $2::int IN (0, s.namespace_id) ON CONFLICT DO NOTHING;

-- name: put_intent
-- It takes the place of what was wished before, and is open in every partition, or in that of its namespace ($5).
INSERT INTO visibility_intents (user_number, name, version, desired_state, actor, namespace_id, pending_partitions)
SELECT $1, $2, nextval('visibility_version'), $3, $4, $5::int, array_agg(partition) FROM partitions
WHERE $5 = 0 OR partition = (SELECT partition FROM namespaces WHERE id = $5)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET name = excluded.name, version = excluded.version, desired_state = excluded.desired_state, actor = excluded.actor, requested_at = now(),
    pending_partitions = excluded.pending_partitions
RETURNING user_number, name, version, desired_state, actor, namespace_id, pending_partitions;

-- name: confirm_intent
-- In which partitions it came true, unless something else was wished since.
UPDATE visibility_intents SET pending_partitions = ARRAY(SELECT unnest(pending_partitions) EXCEPT SELECT unnest($3::smallint[]))
WHERE user_number = $1 AND version = $2 RETURNING cardinality(pending_partitions) AS pending;

-- name: find_moves
-- Of places in partitions ($2, epoch $3, seq $4), those at which the ledger holds an entry of a user ($1). O(log n) each.
SELECT x.partition FROM unnest($2::smallint[], $3::int[], $4::bigint[]) AS x (partition, epoch, seq)
CROSS JOIN LATERAL (
    SELECT FROM ledger WHERE partition = ANY($2) AND partition = x.partition AND epoch = x.epoch AND seq = x.seq
      AND user_number = $1 OFFSET 0) AS l;

-- name: get_open_intents
-- What some partitions have not confirmed, by version behind one.
SELECT user_number, name, version, desired_state, actor, namespace_id, pending_partitions FROM visibility_intents
WHERE pending_partitions <> '{}' AND pending_partitions && $1::smallint[] AND version > $2 AND NOT EXISTS (
    SELECT FROM namespaces n WHERE n.id = visibility_intents.namespace_id AND n.deleted_at IS NOT NULL)
ORDER BY version LIMIT $3;

-- name: get_hiding_intents
-- What Redis is to know of everybody who is off the boards, page by page, by version; partition: null of all.
SELECT i.user_number, i.name, i.version, i.desired_state, i.actor, i.namespace_id, n.partition
FROM visibility_intents i LEFT JOIN namespaces n ON n.id = i.namespace_id
WHERE i.desired_state IN ('hide', 'erase') AND n.deleted_at IS NULL AND i.version > $1 ORDER BY i.version LIMIT $2;

-- name: get_intents_of_users
-- What is wished for some users ($1) in a namespace each ($2; 0: everywhere): null where nothing is, or where it is to be let
-- go of. partition: of the namespace; null of all. O(log n) each.
SELECT x.number AS user_number, x.namespace_id, i.name, i.version, i.desired_state, i.actor, n.partition
FROM unnest($1::bigint[], $2::int[]) AS x (number, namespace_id)
LEFT JOIN LATERAL (
    SELECT * FROM visibility_intents
    WHERE user_number = x.number AND namespace_id = x.namespace_id AND desired_state <> 'release' OFFSET 0) AS i ON true
LEFT JOIN LATERAL (SELECT partition FROM namespaces WHERE id = x.namespace_id OFFSET 0) AS n ON true;

-- name: get_users_with_intent
-- Those of some users, by name, for whom anything is wished in a namespace ($2; 0: everywhere). O(log n) each.
SELECT i.name FROM unnest($1::text[]) AS x (name)
CROSS JOIN LATERAL (SELECT number FROM users WHERE name = x.name OFFSET 0) AS u
CROSS JOIN LATERAL (
    SELECT name FROM visibility_intents
    WHERE user_number = u.number AND namespace_id = $2::int AND desired_state <> 'release' OFFSET 0) AS i;

-- name: get_intent
-- Whether anything is still wished for a user, or still to be let go of.
SELECT version, desired_state FROM visibility_intents WHERE user_number = $1 LIMIT 1;

-- name: get_intents_mark
-- A mark that changes with every wish for a user, and whether one is open in a partition.
SELECT coalesce(sum(version), 0) AS mark, coalesce(bool_or($1::smallint = ANY(pending_partitions)), false) AS is_pending FROM visibility_intents;

-- name: get_boards_of_user
-- Where a user may stand in some partitions: the windows of each category in which any entry of theirs ever lay, in one
-- order whenever it is asked: it is cut into entries that are named by what they hold.
SELECT n.id, n.name, n.partition, n.version, n.rules::text, l.category, array_agg(l.at ORDER BY l.at) AS windows
FROM standings s JOIN namespaces n ON n.id = s.namespace_id
CROSS JOIN LATERAL (
    SELECT DISTINCT category, unnest(windows) AS at FROM ledger
    WHERE partition = n.partition AND partition = ANY($2) AND namespace_id = n.id AND user_number = s.user_number) AS l
WHERE s.user_number = $1 AND n.deleted_at IS NULL AND n.partition = ANY($2::smallint[])
  AND $3::int IN (0, n.id)
GROUP BY n.id, l.category ORDER BY n.id, l.category;

-- name: release_shown_users
-- Who came back a while ago: nothing that was made before is on its way any more, so the state itself may go.
UPDATE visibility_intents SET desired_state = 'release', pending_partitions = (
    SELECT array_agg(p.partition) FROM partitions p
    WHERE namespace_id = 0 OR p.partition = (SELECT partition FROM namespaces WHERE id = namespace_id))
WHERE desired_state = 'unhide' AND pending_partitions = '{}' AND requested_at < now() - interval '1 hour';

-- name: delete_released_intents
-- What was let go of everywhere; and what was wished in a namespace that is deleted, whose keys go by themselves.
DELETE FROM visibility_intents i WHERE (desired_state = 'release' AND pending_partitions = '{}') OR namespace_id <> 0 AND EXISTS (
    SELECT FROM namespaces n WHERE n.id = i.namespace_id AND n.deleted_at IS NOT NULL);
