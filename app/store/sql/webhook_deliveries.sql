-- name: try_deliverer_lock
-- Whether this session is the one that delivers; it is until it ends. $1 is the lock's number.
SELECT pg_try_advisory_lock($1) AS is_deliverer;

-- name: bound_webhook_locks
-- How long a statement of this session waits for a lock, in ms.
SELECT set_config('lock_timeout', $1, false);

-- name: get_webhooks_to_deliver
-- All webhooks, with their keys if these are in the table. What a client wrote is read once a version. O(webhooks).
SELECT w.number, w.version, w.stop_reason, w.is_gone, k.scopes AS scopes,
       EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook = w.number AND d.state = 'resend') AS has_resend
FROM webhooks w LEFT JOIN api_keys k ON k.id = w.api_key_id AND k.revoked_at IS NULL ORDER BY w.number;

-- name: get_webhook_records
-- What a client wrote of some webhooks. O(those).
SELECT number, version, id, api_key_id, api_key_hash, settings::text FROM webhooks WHERE number = ANY($1::int[]);

-- name: get_webhook_top
-- The top of a webhook's board as it was told last.
SELECT top::text AS top FROM webhooks WHERE number = $1;

-- name: get_oldest_webhook_offsets
-- In each partition, the place of the webhook that is furthest behind. O(webhooks × partitions).
SELECT DISTINCT ON (partition) partition, epoch, seq FROM webhook_offsets ORDER BY partition, epoch, seq;

-- name: get_newest_entries
-- The next $4 entries of a partition behind a place, with their namespaces. O($4).
SELECT l.epoch, l.seq, l.kind, l.recorded_at, n.name AS namespace
FROM (
    SELECT epoch, seq, namespace_id, coalesce(verb, kind) AS kind, recorded_at FROM ledger
    WHERE partition = $1 AND (epoch, seq) > ($2, $3) ORDER BY epoch, seq LIMIT $4) AS l
JOIN namespaces n ON n.id = l.namespace_id ORDER BY l.epoch, l.seq;

-- name: get_watched_namespaces
-- Some namespaces that are not deleted, by name. O(those × log n).
SELECT id, name, partition, version, rules::text FROM namespaces WHERE name = ANY($1::text[]) AND deleted_at IS NULL;

-- name: get_webhook_rights
-- Of one webhook, what an attempt needs: its secrets, and its key if that is there and not revoked. O(log n).
SELECT w.version, w.secret, CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END AS previous_secret, k.scopes
FROM webhooks w LEFT JOIN api_keys k ON k.id = w.api_key_id AND k.revoked_at IS NULL WHERE w.number = $1;

-- name: stop_webhook
-- Why nothing is delivered to a webhook; null: it is.
UPDATE webhooks SET stop_reason = $2, is_gone = is_gone OR $3 WHERE number = $1;

-- name: get_webhook_offsets
-- How far some webhooks were told of each partition. O(those × partitions).
SELECT webhook, partition, epoch, seq FROM webhook_offsets WHERE webhook = ANY($1::int[]);

-- name: put_webhook_offsets
-- How far some webhooks were looked for in some partitions: never back. No row where one was deleted. O(offsets).
INSERT INTO webhook_offsets AS present SELECT w.number, o.partition, o.epoch, o.seq
FROM unnest($1::int[], $2::smallint[], $3::int[], $4::bigint[]) AS o (webhook, partition, epoch, seq)
JOIN webhooks w ON w.number = o.webhook
ON CONFLICT (webhook, partition) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq
WHERE (excluded.epoch, excluded.seq) > (present.epoch, present.seq);

-- name: get_webhook_retries
-- What waits for its next attempt, of some webhooks.
SELECT webhook, stream, message_id, attempts, first_attempt_at, next_attempt_at, clock_timestamp() AS now
FROM webhook_retries WHERE webhook = ANY($1::int[]);

-- name: put_webhook_retry
-- An attempt at the first message of a stream failed: the next one follows in $4 seconds. Another message that failed there
-- before will not be told any more.
WITH superseded AS (
    DELETE FROM webhook_deliveries d USING webhook_retries r
    WHERE r.webhook = $1 AND r.stream = $2 AND r.message_id <> $3 AND d.webhook = $1 AND d.message_id = r.message_id
      AND d.state = 'failing')
INSERT INTO webhook_retries (webhook, stream, message_id, attempts, first_attempt_at, next_attempt_at)
SELECT number, $2, $3, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => $4) FROM webhooks WHERE number = $1
ON CONFLICT (webhook, stream) DO UPDATE SET
    message_id = excluded.message_id, attempts = webhook_retries.attempts + 1, next_attempt_at = excluded.next_attempt_at
RETURNING attempts, first_attempt_at, clock_timestamp() AS now;

-- name: delete_webhook_retry
-- The first message of a stream waits no more; nor does another one that failed there before.
WITH superseded AS (
    DELETE FROM webhook_deliveries d USING webhook_retries r
    WHERE r.webhook = $1 AND r.stream = $2 AND d.webhook = $1 AND d.message_id = r.message_id AND d.state = 'failing')
DELETE FROM webhook_retries WHERE webhook = $1 AND stream = $2;

-- name: note_webhook_delivery
-- What became of a message: its state, the status that was answered, or the error. No row where the webhook was deleted.
INSERT INTO webhook_deliveries AS d (webhook, message_id, type, place, state, attempts, status, error)
SELECT number, $2, $3, $4::json, $5, 1, $6, $7 FROM webhooks WHERE number = $1
ON CONFLICT (webhook, message_id) DO UPDATE SET
    state = excluded.state, attempts = d.attempts + 1, last_attempt_at = clock_timestamp(), status = excluded.status,
    error = excluded.error;

-- name: settle_webhook_message
-- A stream ($2) goes on behind a message ($3): its delivery is noted ($4 to $8; no state: nothing may go out of it, and one that was
-- to be sent once more stays given up), it waits no more, and its place ($9 to $11) or the board's top ($12, $13) is kept. O(log n).
WITH target AS (SELECT number FROM webhooks WHERE number = $1),
superseded AS (
    DELETE FROM webhook_deliveries d USING webhook_retries r
    WHERE r.webhook = $1 AND r.stream = $2 AND d.webhook = $1 AND d.message_id = r.message_id AND d.state = 'failing'
      AND (r.message_id <> $3 OR $6::text IS NULL)),
retry AS (DELETE FROM webhook_retries WHERE webhook = $1 AND stream = $2),
dropped AS (
    UPDATE webhook_deliveries SET state = 'dead', error = 'its user was hidden or erased'
    WHERE webhook = $1 AND message_id = $3 AND state = 'resend' AND $6::text IS NULL),
note AS (
    INSERT INTO webhook_deliveries AS d (webhook, message_id, type, place, state, attempts, status, error)
    SELECT number, $3, $4, $5::json, $6::text, 1, $7, $8 FROM target WHERE $6::text IS NOT NULL
    ON CONFLICT (webhook, message_id) DO UPDATE SET
        state = excluded.state, attempts = d.attempts + 1, last_attempt_at = clock_timestamp(), status = excluded.status,
        error = excluded.error),
place AS (
    INSERT INTO webhook_offsets SELECT number, $9::smallint, $10::int, $11::bigint FROM target WHERE $9::smallint IS NOT NULL
    ON CONFLICT (webhook, partition) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq)
UPDATE webhooks SET top = $12::text::json, top_version = $13::bigint WHERE number = $1 AND $12::text IS NOT NULL;

-- name: trim_webhook_deliveries
-- Forgets what was delivered before the latest $2 messages. O(what is forgotten + $2).
DELETE FROM webhook_deliveries WHERE webhook = $1 AND state = 'delivered' AND number < (
    SELECT min(number) FROM (
        SELECT number FROM webhook_deliveries WHERE webhook = $1 AND state = 'delivered' ORDER BY number DESC LIMIT $2) AS latest);

-- name: get_webhook_resend
-- The first of the messages that are to be sent once more. O(log n).
SELECT message_id, type, place::text FROM webhook_deliveries
WHERE webhook = $1 AND state = 'resend' ORDER BY number LIMIT 1;

-- name: find_webhook_entries
-- Which of the next $6 entries of a partition behind a place are of some kinds ($4) and of namespaces of a pattern ($5), the first
-- $7 of them in order; and, where kind is null, how far it was looked. O($6).
WITH scan AS MATERIALIZED (
    SELECT epoch, seq, namespace_id, coalesce(verb, kind) AS kind, recorded_at FROM ledger
    WHERE partition = $1 AND (epoch, seq) > ($2, $3) ORDER BY epoch, seq LIMIT $6)
(SELECT s.epoch, s.seq, s.kind, s.recorded_at
 FROM scan s JOIN namespaces n ON n.id = s.namespace_id
 WHERE s.kind = ANY($4::text[]) AND n.name LIKE $5 ORDER BY s.epoch, s.seq LIMIT $7)
UNION ALL
(SELECT epoch, seq, NULL, recorded_at FROM scan ORDER BY epoch DESC, seq DESC LIMIT 1);

-- name: get_webhook_entry
-- The entry at a place as an event, with its namespace and its meta; is_erased: its user was erased, or is being erased. O(log n).
SELECT n.id AS id, n.name AS name, n.partition AS partition, n.version AS version, n.rules::text AS rules,
       m.meta::text AS meta, coalesce(h.erased, false) AS is_erased,
-- include: event_columns
FROM ledger l JOIN namespaces n ON n.id = l.namespace_id
-- include: event_tables (partition = $1)
LEFT JOIN grant_meta m ON m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq AND m.namespace_id = l.namespace_id
LEFT JOIN hidden_users h ON h.user_number = l.user_number AND h.namespace_id = 0
WHERE l.partition = $1 AND l.epoch = $2 AND l.seq = $3;

-- name: find_webhook_audit
-- Events of the audit of some types ($1), of namespaces of a pattern ($2), behind an id ($3), in order. O(namespaces × types × log n).
SELECT a.id, a.namespace_id, a.type FROM namespaces n CROSS JOIN unnest($1::text[]) AS types (type) CROSS JOIN LATERAL (
    SELECT id, namespace_id, type FROM audit
    WHERE namespace_id = n.id AND type = types.type AND id > $3 ORDER BY id LIMIT $4) AS a
WHERE n.name LIKE $2 ORDER BY a.id LIMIT $4;

-- name: get_webhook_audit
-- One event of the audit. No row where there is none. O(log n).
SELECT id, type, actor, at, body::text, NULL::text AS user FROM audit WHERE namespace_id = $1 AND id = $2;

-- name: get_webhook_namespace
-- A namespace by its number, deleted or not.
SELECT id, name, partition, version, rules::text FROM namespaces WHERE id = $1;

-- name: get_webhook_user
-- A user's name, and whether they are hidden in a namespace ($2) or in the deployment. O(log n).
SELECT name, EXISTS (
    SELECT FROM hidden_users WHERE user_number = $1 AND namespace_id IN (0, $2)) AS is_hidden
FROM users WHERE number = $1;

-- name: record_drift
-- Writes an event for a board that differs from the ledger, or does no more ($2), unless the last one of its namespace said so. The
-- lock ($4) keeps the ids of all of them in the order of their commits.
WITH locked AS MATERIALIZED (SELECT id, pg_advisory_xact_lock($4) FROM namespaces WHERE id = $1 FOR NO KEY UPDATE),
last AS (
    SELECT type FROM audit WHERE namespace_id = $1 AND type IN ('drift_began', 'drift_ended') ORDER BY id DESC LIMIT 1)
INSERT INTO audit (namespace_id, type, body) SELECT id, $2, $3::text::json FROM locked
WHERE coalesce((SELECT type FROM last), 'drift_ended') <> $2;
