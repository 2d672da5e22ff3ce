-- name: get_migrations
-- The names of the migrations that made the tables.
SELECT migration_id FROM _yoyo_migration;

-- name: get_deployment
SELECT id, partitions FROM deployment;

-- name: create_deployment
INSERT INTO deployment (id, partitions) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: create_partitions
INSERT INTO partitions (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING;

-- name: get_opened_partitions
SELECT partition FROM partitions WHERE opened_at IS NOT NULL;

-- name: mark_partitions_opened
UPDATE partitions SET opened_at = now() WHERE opened_at IS NULL;

-- name: get_offsets
SELECT partition, epoch, seq, digest FROM partitions;

-- name: get_offset
SELECT epoch, seq, digest, opened_at FROM partitions WHERE partition = $1;

-- name: advance_offset
-- Conditional on what was read, and on that no other persister ($7 is this one) holds the partition: one that wakes up late
-- changes nothing. From here to the commit nobody can take it.
WITH lease AS (SELECT holder FROM leases WHERE partition = $1 FOR SHARE)
UPDATE partitions SET epoch = $4, seq = $5, digest = $6 WHERE partition = $1 AND epoch = $2 AND seq = $3
AND NOT EXISTS (SELECT FROM lease WHERE holder <> $7);

-- name: count_erasures
SELECT erasure_count FROM deployment;

-- name: increment_erasures
UPDATE deployment SET erasure_count = erasure_count + 1;

-- name: get_current_time
SELECT clock_timestamp() AS now;
