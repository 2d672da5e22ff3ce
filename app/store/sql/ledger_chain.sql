-- name: get_chain_hashes
-- The hash of the ledger's last row in some partitions; empty where no row has one.
SELECT partition, chain_hash FROM partitions WHERE partition = ANY($1::smallint[]);

-- name: get_chain_heads
-- Where the ledger of each partition ends, with the hash of its last row and the proof of it.
SELECT partition, epoch, seq, chain_hash, chain_mac FROM partitions ORDER BY partition;

-- name: get_chained_rows
-- Rows of a partition behind a place (epoch, seq), at most so many, in order. O(log n + rows).
SELECT partition, epoch, seq, kind, namespace_id, grant_id, revision, user_number, entry_amount, live_delta, score, category,
       source, action, granted_at, recorded_at, windows, digest, score_delta, amount, voided, verb, idempotency_key, day,
       original_seq, opening, source_id, session_id, reason, actor, request_digest, chain_hash, salt, text_digests
FROM ledger WHERE partition = $1 AND (epoch, seq) > ($2, $3::bigint) ORDER BY epoch, seq LIMIT $4;

-- name: get_rows_beyond_offset
-- The first rows that stand behind the end of their partition's ledger, which no persister wrote.
SELECT l.epoch, l.seq FROM partitions p
CROSS JOIN LATERAL (
    SELECT epoch, seq FROM ledger
    WHERE partition = $1 AND (epoch, seq) > (p.epoch, p.seq) ORDER BY epoch, seq LIMIT $2 OFFSET 0) AS l
WHERE p.partition = $1;
