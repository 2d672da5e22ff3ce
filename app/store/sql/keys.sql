-- name: create_key
INSERT INTO api_keys (id, hash, scopes) VALUES ($1, $2, $3);

-- name: get_keys
SELECT id, hash, scopes, created_at, revoked_at FROM api_keys ORDER BY created_at;

-- name: revoke_key
UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL RETURNING id;
