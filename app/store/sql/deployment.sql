-- name: get_migrations
-- The names of the migrations that made the tables.
SELECT migration_id FROM _yoyo_migration;

-- name: get_deployment
-- Which installation this is, how many partitions it has, the proof of its digest key, and how often its state has changed.
SELECT id, partitions, key_proof, state_version FROM deployment;

-- name: create_deployment
-- Fixes the installation's id, its number of partitions and the proof of its digest key, once.
INSERT INTO deployment (id, partitions, key_proof) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: create_partitions
-- One row for each partition, numbered from 0.
INSERT INTO partitions (partition) SELECT generate_series(0, $1::int - 1) ON CONFLICT DO NOTHING;

-- name: get_opened_partitions
-- The partitions that were opened in Redis.
SELECT partition FROM partitions WHERE opened_at IS NOT NULL;

-- name: mark_partitions_opened
-- All partitions are open in Redis now.
UPDATE partitions SET opened_at = now() WHERE opened_at IS NULL;

-- name: get_offsets
-- How far the ledger has come in each partition: place and digest of its last entry.
SELECT partition, epoch, seq, digest FROM partitions ORDER BY partition;

-- name: get_offsets_of
-- The same of some partitions.
SELECT partition, epoch, seq, digest FROM partitions WHERE partition = ANY($1::smallint[])
ORDER BY partition;

-- name: get_offset
-- How far the ledger has come in one partition, the epoch that must be over in its Redis, and the newest one.
SELECT epoch, seq, digest, opened_at, fence_epoch, newest_epoch FROM partitions WHERE partition = $1;

-- name: advance_offset
-- Conditional on what was read, and on that no other persister ($7 is this one) holds the partition: one that wakes up late
-- changes nothing; nor do rows of a former primary, nor what was read before an epoch began ($10: the newest one at that time,
-- or NULL). From here to the commit nobody can take it. $8, $9: the hash of the last row, and the proof of it.
WITH lease AS (SELECT holder FROM leases WHERE partition = $1 FOR SHARE)
UPDATE partitions SET epoch = $4, seq = $5, digest = $6, chain_hash = $8, chain_mac = $9 WHERE partition = $1 AND epoch = $2 AND seq = $3
AND NOT ($4 <= fence_epoch AND $5 > fence_seq)
AND ($10::int IS NULL OR newest_epoch = $10)
AND NOT EXISTS (SELECT FROM lease WHERE holder <> $7);

-- name: get_fence
-- Where the epochs before the newest one ended in a partition, if a place is behind that.
SELECT fence_epoch, fence_seq FROM partitions WHERE partition = $1 AND $2 <= fence_epoch AND $3 > fence_seq;

-- name: set_fence
-- Ends an epoch ($2) of a partition, and all others before a new one ($4), behind a seq ($3). No row where the ledger has
-- something behind that, or where the epoch ended at a lower seq before: then this is a former primary's end.
UPDATE partitions SET fence_epoch = greatest(fence_epoch, $4 - 1), fence_seq = $3
WHERE partition = $1 AND NOT (epoch <= greatest(fence_epoch, $4 - 1) AND seq > $3) AND NOT ($2 <= fence_epoch AND $3 > fence_seq)
RETURNING partition;

-- name: get_fence_epochs
-- The latest epoch of some partitions that is over.
SELECT partition, fence_epoch FROM partitions WHERE partition = ANY($1::smallint[])
ORDER BY partition;

-- name: count_erasures
-- How many erasures there were.
SELECT erasure_count FROM deployment;

-- name: increment_erasures
-- Counts an erasure.
UPDATE deployment SET erasure_count = erasure_count + 1;

-- name: get_current_time
-- The clock of Postgres.
SELECT clock_timestamp() AS now;
