-- name: get_seals
-- The latest closed windows of each namespace of a partition, the earliest first. at: when, in microseconds. O(windows).
SELECT namespace_id, "window", (extract(epoch FROM sealed_at) * 1000000)::bigint AS at
FROM (
    SELECT namespace_id, "window", sealed_at, seq, row_number() OVER (PARTITION BY namespace_id ORDER BY seq DESC) AS nth
    FROM seals WHERE partition = $1) AS s
WHERE nth <= $2 ORDER BY seq;

-- name: add_seal
-- Here and below: whose namespace is deleted by now has its last seals taken away, and gets no more of them.
INSERT INTO seals (namespace_id, "window", partition, epoch, seq, sealed_at)
SELECT id, $2, $3, $4, $5, $6 FROM namespaces WHERE id = $1 AND deleted_at IS NULL
ON CONFLICT DO NOTHING;

-- name: get_unarchived_seals
-- Which of some windows are closed while their boards are still in Redis, and the seqs of their seals. O(windows).
SELECT "window", seq FROM seals WHERE namespace_id = $1 AND "window" = ANY($2::text[]) AND archived_at IS NULL;

-- name: get_windows_to_archive
-- Closed windows whose boards are still in Redis, as far as the ledger has come, but for some.
SELECT n.id, n.partition, n.name, n.version, n.rules::text, s."window", s.seq
FROM seals s JOIN namespaces n ON n.id = s.namespace_id
WHERE s.partition = $1 AND s.archived_at IS NULL AND s.seq > $2 AND s.seq <= $3 AND n.deleted_at IS NULL
  AND NOT n.id || ' ' || s."window" = ANY($4::text[])
ORDER BY s.seq LIMIT 1000;

-- name: mark_window_archived
-- A closed window is in the archive now.
UPDATE seals SET archived_at = now() WHERE namespace_id = $1 AND "window" = $2;

-- name: get_sealable_namespaces
-- Those of some partitions that bound how old a grant may be, and into which nothing is imported, behind an id.
SELECT id, name, partition, version, rules::text FROM namespaces
WHERE partition = ANY($1::smallint[]) AND id > $2 AND deleted_at IS NULL AND rules ->> 'accept_past' IS NOT NULL
    AND id <> ALL(ARRAY(
        SELECT namespace_id FROM import_leases WHERE
        -- include: lease_holds
        ))
ORDER BY id LIMIT $3;
