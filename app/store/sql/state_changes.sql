-- name: get_state_changes
-- What changed behind a version of the deployment's state ($1) up to another one ($2), $3 changes at most; each as it came,
-- an object as often as it changed. O(changes).
SELECT version, kind, id, namespace_id FROM state_changes WHERE version > $1 AND version <= $2 ORDER BY version LIMIT $3;

-- name: delete_old_state_changes
-- Those before the latest $1. O(what is deleted).
DELETE FROM state_changes WHERE version <= (SELECT state_version FROM deployment) - $1::bigint;
