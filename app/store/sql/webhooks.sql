-- fragment: webhook_columns
-- A webhook as it is shown.
w.id, w.api_key_id, w.settings::text, w.secret, w.previous_secret, w.previous_secret_until, w.created_at, w.updated_at,
w.stop_reason, w.is_gone

-- name: get_webhooks
-- All webhooks, by id. O(webhooks).
SELECT
-- include: webhook_columns
FROM webhooks w ORDER BY w.id;

-- name: get_webhook
-- One webhook. No row where there is none. O(log n).
SELECT
-- include: webhook_columns
FROM webhooks w WHERE w.id = $1;

-- name: lock_webhooks
-- Until the end of the transaction nobody else makes or changes a webhook; $1 is the lock's number.
SELECT pg_advisory_xact_lock($1);

-- name: count_webhooks
-- How many webhooks there are, and how many of them a key made. O(webhooks).
SELECT count(*) AS webhooks, count(*) FILTER (WHERE api_key_id = $1) AS of_key FROM webhooks;

-- name: create_webhook
-- Makes a webhook that is told of what comes from now on.
WITH made AS (
    INSERT INTO webhooks (id, api_key_id, api_key_hash, settings, secret) VALUES ($1, $2, $3, $4::json, $5) RETURNING number),
offsets AS (
    INSERT INTO webhook_offsets SELECT made.number, p.partition, p.epoch, p.seq FROM made, partitions p
    UNION ALL SELECT made.number, -1, 0, coalesce((SELECT max(id) FROM audit), 0) FROM made)
SELECT number FROM made;

-- name: update_webhook
-- Replaces what a webhook does. $5: its secret; $6: whether that is a new one, beside which the one before signs for a day more.
-- Of another board nothing was told yet; but the epoch and version told last stay, so that none is lower.
UPDATE webhooks SET version = version + 1, api_key_id = $2, api_key_hash = $3, settings = $4::json, secret = $5,
    previous_secret = CASE WHEN $6::boolean THEN secret ELSE previous_secret END,
    previous_secret_until = CASE WHEN $6::boolean THEN now() + make_interval(secs => $7) ELSE previous_secret_until END,
    updated_at = now(), is_gone = false, stop_reason = NULL,
    top = CASE WHEN (settings -> 'board')::text = ($4::json -> 'board')::text
               AND settings ->> 'namespaces' = $4::json ->> 'namespaces' THEN top
          ELSE (top::jsonb - '{board,ranks,state}'::text[])::json END
WHERE id = $1;

-- name: get_webhook_audit_offset
-- The id of the event of the audit up to which a webhook was told. O(log n).
SELECT o.seq FROM webhooks w JOIN webhook_offsets o ON o.webhook = w.number WHERE w.id = $1 AND o.partition = -1;

-- name: pass_webhook_audit
-- A webhook is told of the audit from now on. While its caller has the lock of events, none is being written. O(log n).
UPDATE webhook_offsets o SET seq = last.id
FROM webhooks w, (SELECT max(id) AS id FROM audit) AS last
WHERE w.id = $1 AND o.webhook = w.number AND o.partition = -1 AND last.id > o.seq;

-- name: delete_webhook
-- Deletes a webhook with all that is known of its deliveries.
DELETE FROM webhooks WHERE id = $1 RETURNING id;

-- name: get_webhook_deliveries
-- A webhook's latest messages before a number ($3), in one state ($2) or in any; the next attempt of one that fails. O(log n + $4).
SELECT d.number, d.message_id, d.type, d.state, d.attempts, d.first_attempt_at, d.last_attempt_at, d.status, d.error,
       r.next_attempt_at
FROM webhooks w
JOIN webhook_deliveries d ON d.webhook = w.number
LEFT JOIN webhook_retries r ON r.webhook = d.webhook AND r.message_id = d.message_id
WHERE w.id = $1 AND ($2::text IS NULL OR d.state = $2) AND d.number < $3 ORDER BY d.number DESC LIMIT $4;

-- name: request_resend
-- Marks messages of a webhook ($2 by id, or all that were given up where $2 is null) to be sent once more. O(those).
UPDATE webhook_deliveries d SET state = 'resend' FROM webhooks w
WHERE w.id = $1 AND d.webhook = w.number AND d.state IN ('dead', 'delivered', 'resend')
  AND (d.message_id = ANY($2::text[]) OR ($2::text[] IS NULL AND d.state = 'dead'))
RETURNING d.message_id;
