-- name: get_state_changes
-- What changed behind a version of the deployment's state ($1) up to another one ($2), $3 changes at most; each as it came,
-- an object as often as it changed. O(changes).
SELECT version, kind, id, namespace_id FROM state_changes WHERE version > $1 AND version <= $2 ORDER BY version LIMIT $3;

-- name: get_state_history
-- The latest version of the state with its token, and of some versions ($1) the tokens that the journal has; nulls where it
-- has none of them. O(log n) each.
SELECT d.state_version, d.state_token, c.version, c.token
FROM deployment d LEFT JOIN state_changes c ON c.version = ANY($1::bigint[]);

-- name: delete_old_state_changes
-- Those before the latest $1. O(what is deleted).
DELETE FROM state_changes WHERE version <= (SELECT state_version FROM deployment) - $1::bigint;

-- name: take_change_numbers
-- The last of $3 numbers for announcements of one kind ($1); each is used once, and all are greater than $2. Who takes one has
-- published before what it announces.
UPDATE announcements SET number = greatest(number, $2) + $3 WHERE kind = $1 RETURNING number;

-- name: get_change_number
-- The last number of one kind of announcements ($1) that was taken; 0: none was.
SELECT number FROM announcements WHERE kind = $1;
