-- name: add_dead_letter
-- Keeps an entry that the ledger did not take as what it claims.
INSERT INTO dead_letters (partition, epoch, seq, namespace_id, reason, entry, cause, grant_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: count_recent_dead_letters
-- How many entries of a partition became dead letters within the last minute, duplicates not counted.
SELECT count(*) FROM dead_letters
WHERE partition = $1 AND reason <> 'duplicate' AND created_at > now() - interval '1 minute';

-- name: record_failed_retry
-- A dead letter that was tried again and could not be recorded again waits for another decision.
UPDATE dead_letters SET attempts = attempts + 1, decision = NULL, cause = $4
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL;

-- name: settle_dead_letter
-- A dead letter is recorded or taken off the boards by the entry at $4. The first such entry counts.
UPDATE dead_letters SET healed_seq = $4 WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL;

-- name: get_partitions_with_decisions
-- Those of some partitions that may have rows of `get_decided_dead_letters`. O(partitions × log n).
SELECT p AS partition FROM unnest($1::smallint[]) AS p
WHERE EXISTS (SELECT FROM dead_letters a WHERE a.partition = p AND a.decision IS NOT NULL AND a.healed_seq IS NULL);

-- name: get_decided_dead_letters
-- Dead letters of a partition about which something was decided that is not carried out yet, but for some places.
SELECT a.epoch, a.seq, a.entry, a.decision, a.attempts, l.recorded_at, l.live_delta FROM dead_letters a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
LEFT JOIN namespaces n ON n.id = l.namespace_id
WHERE a.partition = $1 AND a.decision IS NOT NULL AND a.healed_seq IS NULL AND n.deleted_at IS NULL
  AND NOT a.epoch || '-' || a.seq = ANY($2::text[])
ORDER BY a.seq LIMIT $3;

-- fragment: open_dead_letters
-- Dead letters `a` with their rows `l`, namespaces `n` and users `u`, of deleted namespaces none.
FROM dead_letters a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
LEFT JOIN namespaces n ON n.id = a.namespace_id LEFT JOIN users u ON u.number = l.user_number
WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate' AND n.deleted_at IS NULL

-- name: get_dead_letters
-- Entries that could not be recorded and are neither recorded nor taken off the boards by now; of deleted namespaces none.
SELECT a.partition, a.epoch, a.seq, a.entry, a.cause, a.created_at, a.decision, a.attempts, n.name AS namespace,
       u.name AS user
-- include: open_dead_letters
ORDER BY a.partition, a.epoch, a.seq LIMIT $1;

-- name: count_dead_letters
-- How many `get_dead_letters` lists.
SELECT count(*)
-- include: open_dead_letters
;

-- name: get_dead_letter
-- One dead letter: what was decided, why it could not be recorded, and the seq of the entry that settled it.
SELECT decision, cause, healed_seq FROM dead_letters
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND reason <> 'duplicate';

-- name: find_open_dead_letters
-- Dead letters of a partition that are not settled and in whose entry a grant_id stands somewhere. O(its open letters).
SELECT seq, entry FROM dead_letters
WHERE partition = $1 AND healed_seq IS NULL AND reason <> 'duplicate' AND position(convert_to($2, 'UTF8') IN entry) > 0
ORDER BY seq;

-- name: get_dead_letters_at
-- Which of some places of a partition are dead letters, and whether each is recorded or taken off the boards by now; a place
-- in a gap of the ledger is settled, for its entry never comes. O(log n) each.
SELECT a.epoch, a.seq, a.healed_seq IS NOT NULL AS is_settled
FROM unnest($2::bigint[], $3::bigint[]) AS x (epoch, seq)
CROSS JOIN LATERAL (
    SELECT epoch, seq, healed_seq FROM dead_letters
    WHERE partition = $1 AND epoch = x.epoch AND seq = x.seq AND reason <> 'duplicate' OFFSET 0) AS a
UNION ALL
SELECT x.epoch, x.seq, true FROM unnest($2::bigint[], $3::bigint[]) AS x (epoch, seq)
CROSS JOIN LATERAL (
    SELECT grant_id FROM ledger
    WHERE partition = $1 AND namespace_id = 0 AND coalesce(verb, kind) = 'gap' AND seq >= x.seq ORDER BY seq LIMIT 1) AS g
WHERE substring(g.grant_id FROM '^gap:(\d+)-')::bigint <= x.seq;

-- name: decide_dead_letter
-- What is decided about a dead letter; the first word holds until it is carried out or has failed.
UPDATE dead_letters SET decision = coalesce(decision, $4)
WHERE partition = $1 AND epoch = $2 AND seq = $3 AND healed_seq IS NULL AND reason <> 'duplicate' RETURNING decision;

-- name: settle_dead_letters_of_user
-- Dead letters of a user who was erased: nothing is left that could be recorded or taken off.
UPDATE dead_letters a SET healed_seq = a.seq FROM ledger l
WHERE a.healed_seq IS NULL AND a.reason <> 'duplicate' AND l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
  AND l.user_number = $1;

-- name: get_placeless_dead_letters
-- Open dead letters of a partition of which nothing is known but their place.
SELECT epoch, seq, cause FROM dead_letters
WHERE partition = $1 AND namespace_id = 0 AND healed_seq IS NULL AND reason <> 'duplicate' ORDER BY 1, 2 LIMIT $2;

-- name: find_dead_letters_naming
-- What was set aside and holds a name. O(all that was), which are few.
SELECT partition, epoch, seq, entry FROM dead_letters WHERE position(convert_to($1, 'UTF8') IN entry) > 0;

-- name: update_dead_letter_entry
-- Replaces the text of a dead letter when its user is erased, and forgets the cause, which may tell of it.
UPDATE dead_letters SET entry = $4, cause = CASE WHEN entry = $4 THEN cause END WHERE partition = $1 AND epoch = $2 AND seq = $3;

-- name: get_dead_letters_of_namespace
-- What the boards of a namespace counted and the ledger could not hold as what it is: duplicates and dead letters, each
-- with the seq of the entry that took it back or recorded it after all (null: none yet).
SELECT a.epoch, a.seq, a.healed_seq, a.reason, a.cause, u.number, u.name FROM dead_letters a
CROSS JOIN LATERAL (
    SELECT user_number FROM ledger WHERE partition = $1 AND epoch = a.epoch AND seq = a.seq OFFSET 0) AS l
LEFT JOIN users u ON u.number = l.user_number
WHERE a.partition = $1 AND a.namespace_id = $2;

-- name: get_partitions_with_duplicates
-- Those of some partitions that may have rows of `get_unhealed_duplicates`. O(partitions × open letters).
SELECT p AS partition FROM unnest($1::smallint[]) AS p
WHERE EXISTS (SELECT FROM dead_letters a WHERE a.partition = p AND a.healed_seq IS NULL AND a.reason = 'duplicate');

-- name: get_unhealed_duplicates
-- Duplicates of a partition that are not taken back yet, but for some places; of deleted namespaces none will be, nor of
-- corrections, which never count twice.
SELECT a.epoch, a.seq, a.entry, l.live_delta, h.seq AS healed_seq FROM dead_letters a
JOIN ledger l ON l.partition = a.partition AND l.epoch = a.epoch AND l.seq = a.seq
JOIN namespaces n ON n.id = l.namespace_id AND n.deleted_at IS NULL
LEFT JOIN ledger h ON h.partition = $1 AND h.namespace_id = l.namespace_id AND h.kind = 'heal' AND h.revision = 1
     AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq
WHERE a.partition = $1 AND a.healed_seq IS NULL AND a.reason = 'duplicate' AND l.revision = 1
  AND NOT a.epoch || '-' || a.seq = ANY($2::text[])
ORDER BY a.seq LIMIT $3;

-- name: mark_healed
-- A duplicate is taken off the boards by the entry at $4.
UPDATE dead_letters SET healed_seq = $4 WHERE partition = $1 AND epoch = $2 AND seq = $3;
