-- name: get_settled_erasures
-- Who was taken out of every partition, but for some.
SELECT user_number, name, version, desired_state, actor, namespace_id FROM visibility_intents
WHERE desired_state = 'erase' AND pending_partitions = '{}' AND NOT user_number::text = ANY($1::text[]) ORDER BY version LIMIT 100;

-- name: lock_erasure
-- Locks the request to erase a user, if all partitions have carried it out and no later one replaced it.
SELECT FROM visibility_intents WHERE user_number = $1 AND namespace_id = 0 AND version = $2 AND desired_state = 'erase' AND pending_partitions = '{}' FOR UPDATE;

-- name: delete_grant_meta_of_user
-- O(the user's grants).
DELETE FROM grant_meta m USING standings s, ledger l
WHERE s.user_number = $1 AND l.namespace_id = s.namespace_id AND l.user_number = $1
  AND m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq;

-- name: replace_user_name
-- An erased user goes on under a name that says nothing.
UPDATE users SET name = $2 WHERE number = $1;

-- name: release_erased_user
-- The last step: the name may be used anew as soon as a partition has let go of it, in the namespaces where something was
-- wished for them, too. What hid them there is forgotten: they are hidden in the whole deployment for ever.
WITH forgotten AS (DELETE FROM hidden_users WHERE user_number = $1 AND namespace_id <> 0)
UPDATE visibility_intents i SET desired_state = 'release', pending_partitions = (
    SELECT array_agg(p.partition) FROM partitions p
    WHERE i.namespace_id = 0 OR p.partition = (SELECT n.partition FROM namespaces n WHERE n.id = i.namespace_id))
WHERE user_number = $1;
