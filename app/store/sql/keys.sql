-- name: create_key
-- Keeps the hash of an API key, never the key.
INSERT INTO api_keys (id, hash, scopes) VALUES ($1, $2, $3);

-- name: get_keys
-- All API keys, oldest first, revoked ones too.
SELECT id, hash, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at;

-- name: get_keys_by_id
-- Some API keys, revoked ones too. O(log n) each.
SELECT id, hash, scopes, revoked_at FROM api_keys WHERE id = ANY($1::text[]);

-- name: revoke_key
-- Revokes an API key. No row where it is unknown or was revoked before.
UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id;

-- name: lock_key
-- Locks an API key's row up to the end of the transaction. O(log n).
SELECT FROM api_keys WHERE id = $1 FOR NO KEY UPDATE;
