-- name: put_import_lease
-- Begins an import's lease, or makes it longer by so many seconds from now; leases that are over go away.
WITH over AS (DELETE FROM import_leases WHERE namespace_id = $1 AND until < clock_timestamp() AND name <> $2)
INSERT INTO import_leases (namespace_id, name, actor, until)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4::double precision))
ON CONFLICT (namespace_id, name) DO UPDATE SET until = excluded.until, actor = excluded.actor
RETURNING until;

-- name: delete_import_lease
-- Ends an import's lease.
DELETE FROM import_leases WHERE namespace_id = $1 AND name = $2;
