-- fragment: key_columns
-- An API key with the hashes of its secrets. Not every session reads a moment as the others do, but each a number.
id, hash, scopes, name, secret_version, previous_hash, previous_until,
coalesce((extract(epoch FROM previous_until) * 1000000)::bigint, 0) AS previous_until_micros, created_at, created_by, rotated_at, rotated_by,
revoked_at, revoked_by

-- name: lock_keys
-- Until the end of the transaction nobody else makes an API key; $1 is the lock's number.
SELECT pg_advisory_xact_lock($1);

-- name: count_active_keys
-- How many API keys are not revoked. O(API keys).
SELECT count(*) AS active FROM api_keys WHERE revoked_at IS NULL;

-- name: create_key
-- Keeps the hash of an API key, never the key. $5: who makes it.
INSERT INTO api_keys (id, hash, scopes, name, created_by) VALUES ($1, $2, $3, $4, $5) RETURNING
-- include: key_columns
;

-- name: get_keys
-- All API keys, oldest first, revoked ones too.
SELECT
-- include: key_columns
FROM api_keys ORDER BY created_at, id;

-- name: get_keys_page
-- The next $2 API keys behind one ($1; null: from the beginning), oldest first, revoked ones too. O(log n + $2).
SELECT
-- include: key_columns
FROM api_keys
WHERE $1::text IS NULL OR (created_at, id) > (SELECT k.created_at, k.id FROM api_keys k WHERE k.id = $1)
ORDER BY created_at, id LIMIT $2;

-- name: get_keys_by_id
-- Some API keys, revoked ones too. O(log n) each.
SELECT
-- include: key_columns
FROM api_keys WHERE id = ANY($1::text[]);

-- name: rotate_key
-- Gives an API key a new secret ($2: its hash). The one before is good until $3, too; null: it ends now. $4: who does it. No row
-- where the key is unknown or revoked.
UPDATE api_keys SET hash = $2, secret_version = secret_version + 1, rotated_at = now(), rotated_by = $4,
    previous_hash = CASE WHEN $3::timestamptz IS NOT NULL THEN hash END, previous_until = $3
WHERE id = $1 AND revoked_at IS NULL RETURNING
-- include: key_columns
;

-- name: revoke_key
-- Revokes an API key. No row where it is unknown or was revoked before. $2: who does it.
UPDATE api_keys SET revoked_at = now(), revoked_by = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- name: take_key
-- An API key that Postgres lost, or whose newest secret it lost, as Redis has it. Who did it is lost.
INSERT INTO api_keys (id, hash, scopes, name, secret_version, previous_hash, previous_until)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, secret_version = excluded.secret_version, rotated_at = now(),
    rotated_by = NULL, previous_hash = excluded.previous_hash, previous_until = excluded.previous_until;

-- name: lock_key
-- Locks an API key's row up to the end of the transaction. O(log n).
SELECT FROM api_keys WHERE id = $1 FOR NO KEY UPDATE;
