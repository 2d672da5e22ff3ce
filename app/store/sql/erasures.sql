-- name: get_settled_erasures
-- Who was taken out of every partition, but for some.
SELECT user_number, name, version, desired_state, actor, namespace_id FROM visibility_intents
WHERE desired_state = 'erase' AND pending_partitions = '{}' AND NOT user_number::text = ANY($1::text[]) ORDER BY version LIMIT 100;

-- name: lock_erasure
-- Locks the request to erase a user, if all partitions have carried it out and no later one replaced it.
SELECT FROM visibility_intents WHERE user_number = $1 AND namespace_id = 0 AND version = $2 AND desired_state = 'erase' AND pending_partitions = '{}' FOR UPDATE;

-- fragment: has_texts
-- Whether a row holds a text that an erasure clears. Who hid, showed or erased a user stays in the row of that.
(coalesce({{row}}.source_id, {{row}}.session_id, {{row}}.reason, {{row}}.actor) IS NOT NULL OR {{row}}.request_digest IS NOT NULL)
AND {{row}}.kind NOT IN ('hide', 'unhide', 'erase')

-- fragment: digest_of_text
-- A text's digest as model/ledger_chain.py has it; zeros for an absent one.
coalesce(substring(sha256(l.salt || {{text}}) FOR 16), '\x00000000000000000000000000000000'::bytea)

-- name: clear_texts_of_user
-- Clears the texts of some of a user's rows ($2 at most) and keeps their digests for the chain; a row from before there were
-- hashes has no salt, and gets none. The condition stands twice, for another persister may have cleared a row meanwhile.
-- O(the user's rows).
UPDATE ledger l SET source_id = NULL, session_id = NULL, reason = NULL, actor = NULL, request_digest = NULL, salt = NULL,
    text_digests = CASE WHEN l.salt IS NOT NULL THEN
        -- include: digest_of_text (text = convert_to(l.source_id, 'UTF8'))
        ||
        -- include: digest_of_text (text = convert_to(l.session_id, 'UTF8'))
        ||
        -- include: digest_of_text (text = convert_to(l.reason, 'UTF8'))
        ||
        -- include: digest_of_text (text = convert_to(l.actor, 'UTF8'))
        ||
        -- include: digest_of_text (text = l.request_digest)
        END
FROM (
    SELECT r.partition, r.epoch, r.seq FROM standings s JOIN namespaces n ON n.id = s.namespace_id
    CROSS JOIN LATERAL (
        SELECT r.partition, r.epoch, r.seq FROM ledger r
        WHERE r.partition = n.partition AND r.namespace_id = s.namespace_id AND r.user_number = $1 AND
        -- include: has_texts (row = r)
        LIMIT $2) AS r
    WHERE s.user_number = $1 LIMIT $2) AS page
WHERE l.partition = page.partition AND l.epoch = page.epoch AND l.seq = page.seq AND
-- include: has_texts (row = l)
;

-- name: clear_sources_of_user
-- Clears the same where grants wait in quarantine. O(the user's grants × log n).
UPDATE quarantined_grants q SET source_id = NULL FROM standings s JOIN namespaces n ON n.id = s.namespace_id
CROSS JOIN LATERAL (
    SELECT seq FROM ledger
    WHERE partition = n.partition AND namespace_id = s.namespace_id AND user_number = $1 AND verb = 'quarantine' OFFSET 0) AS l
WHERE s.user_number = $1 AND q.namespace_id = s.namespace_id AND q.seq = l.seq;

-- name: delete_grant_meta_of_user
-- O(the user's grants).
DELETE FROM grant_meta m USING standings s
CROSS JOIN LATERAL (SELECT partition FROM namespaces WHERE id = s.namespace_id LIMIT 1) AS n
CROSS JOIN LATERAL (
    SELECT partition, epoch, seq FROM ledger
    WHERE partition = n.partition AND namespace_id = s.namespace_id AND user_number = $1 OFFSET 0) AS l
WHERE s.user_number = $1 AND m.partition = l.partition AND m.epoch = l.epoch AND m.seq = l.seq;

-- name: replace_user_name
-- An erased user goes on under a name that says nothing.
UPDATE users SET name = $2 WHERE number = $1;

-- name: release_erased_user
-- The last step: the name may be used anew as soon as a partition has let go of it, in the namespaces where something was
-- wished for them, too. What hid them there is forgotten: they are hidden in the whole deployment for ever.
WITH forgotten AS (DELETE FROM hidden_users WHERE user_number = $1 AND namespace_id <> 0)
UPDATE visibility_intents i SET desired_state = 'release', pending_partitions = (
    SELECT array_agg(p.partition) FROM partitions p
    WHERE i.namespace_id = 0 OR p.partition = (SELECT n.partition FROM namespaces n WHERE n.id = i.namespace_id))
WHERE user_number = $1;
