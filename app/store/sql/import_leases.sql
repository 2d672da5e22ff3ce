-- fragment: lease_holds
-- Whether a lease holds. Each is of a minute: one that ends later was made before the clock was set back, by whatever it was ahead.
until BETWEEN clock_timestamp() AND clock_timestamp() + interval '5 minutes'

-- fragment: lease_columns
-- What a lease tells: until when it holds, and which of all namespaces of that name it is of, also in other deployments.
until, (SELECT id FROM deployment) || '-' || namespace_id AS namespace_instance

-- name: renew_import_lease
-- Makes an import's lease longer by so many seconds from now. No row where there is none.
UPDATE import_leases SET until = clock_timestamp() + make_interval(secs => $4::double precision), actor = $3
WHERE namespace_id = $1 AND name = $2 RETURNING
-- include: lease_columns
;

-- name: end_lapsed_import_leases
-- Ends a namespace's leases that are over, with their events, but for one ($2) that may be renewed.
WITH over AS (
    DELETE FROM import_leases WHERE namespace_id = $1 AND name <> $2 AND NOT
    -- include: lease_holds
    RETURNING name, actor)
INSERT INTO audit (namespace_id, type, actor, body)
SELECT $1, 'import_ended', actor, json_build_object('import_id', name, 'lapsed', true) FROM over;

-- name: begin_import_lease
-- Begins an import's lease, for so many seconds, with its event. No row where it has begun.
WITH begun AS (
    INSERT INTO import_leases (namespace_id, name, actor, until)
    VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4::double precision))
    ON CONFLICT (namespace_id, name) DO NOTHING RETURNING *),
event AS (
    INSERT INTO audit (namespace_id, type, actor, body)
    SELECT $1, 'import_began', actor, json_build_object('import_id', name) FROM begun)
SELECT
-- include: lease_columns
FROM begun;

-- name: end_import_lease
-- Ends an import's lease, with its event.
WITH over AS (DELETE FROM import_leases WHERE namespace_id = $1 AND name = $2 RETURNING name)
INSERT INTO audit (namespace_id, type, actor, body)
SELECT $1, 'import_ended', $3, json_build_object('import_id', name, 'lapsed', false) FROM over;
