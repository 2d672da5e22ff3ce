-- name: lock_state_taking
-- One process at a time takes the state back from Redis, up to the end of its session. False: another one does.
SELECT pg_try_advisory_lock($1::bigint);

-- fragment: moment_of_token
-- When a change of the state was made, in microseconds since 1970; 0: unknown.
coalesce(substring(token FROM '^[0-9]+')::bigint, 0)

-- name: get_changes_since_restore
-- What was changed here behind a moment ($1), each object once. O(the journal).
SELECT DISTINCT kind, id, namespace_id FROM state_changes WHERE
-- include: moment_of_token
> $1::bigint;

-- name: get_all_namespaces
-- Every namespace, deleted ones too. O(namespaces).
SELECT id, name, partition, version, rules::text, accept_future_max, has_user_data, deleted_at IS NOT NULL AS is_deleted,
    (extract(epoch FROM created_at) * 1000000)::bigint AS created_micros
FROM namespaces ORDER BY id;

-- name: take_namespace
-- A namespace with its id and version. It stays in its partition: Redis may keep users of it. Seasons that are over ($8: now)
-- have no event of their beginning.
WITH restored AS (
    INSERT INTO namespaces (id, name, partition, version, rules, latest_acceptable_at, accept_future_max, has_user_data)
    OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, true) RETURNING id)
INSERT INTO opened_seasons SELECT id, s ->> 'name' FROM restored, jsonb_array_elements($5::jsonb -> 'seasons') AS s
WHERE (s ->> 'ends')::timestamptz <= $8::timestamptz;

-- name: take_rules
-- The rules of a namespace as Redis has them, with their version. What was acceptable by the rules before stays so.
UPDATE namespaces SET partition = $2, version = $3, rules = $4::jsonb,
    latest_acceptable_at = greatest(latest_acceptable_at, $5), accept_future_max = greatest(accept_future_max, $6)
WHERE id = $1;

-- name: renumber_namespace
-- A namespace that keeps no users gets another id. No row where it keeps some.
WITH moved AS (
    UPDATE namespaces SET id = DEFAULT, version = nextval('rules_version') WHERE id = $1 AND NOT has_user_data
    RETURNING id),
seasons AS (UPDATE opened_seasons SET namespace_id = moved.id FROM moved WHERE namespace_id = $1),
events AS (UPDATE audit SET namespace_id = moved.id FROM moved WHERE namespace_id = $1)
SELECT id FROM moved;

-- name: take_deletion
-- A namespace that was deleted goes again. Its dead letters are settled when its data is removed.
UPDATE namespaces SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL;

-- fragment: numbers_by_name
-- Users ($1) by name with their numbers; null for one who has none.
FROM unnest($1::text[]) AS x (name)
LEFT JOIN LATERAL (SELECT number FROM users WHERE name = x.name OFFSET 0) AS u ON true

-- name: get_profiles_by_names
-- What is known of some users ($1) by name, in a namespace ($2; 0: in the deployment); nulls where there is nothing.
-- O(log n) each.
SELECT x.name, u.number, p.version, p.display_name, p.avatar, p.timezone, coalesce(p.opt_out, false) AS opt_out
-- include: numbers_by_name
LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = u.number AND namespace_id = $2::int OFFSET 0) AS p ON true;

-- name: take_profile
-- A user's profile in a namespace ($2) with its version ($3; null: a new one).
INSERT INTO profiles (user_number, namespace_id, version, display_name, avatar, timezone, opt_out, folded_name)
VALUES ($1, $2, coalesce($3, nextval('profile_version')), $4, $5, $6, $7, $8)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET version = excluded.version, display_name = excluded.display_name, avatar = excluded.avatar,
    timezone = excluded.timezone, opt_out = excluded.opt_out, folded_name = excluded.folded_name;

-- name: get_states_by_names
-- Why some users ($1) are off the boards of a namespace ($2; 0: of all), and what is wished for them; nulls where nothing
-- is. opt_out: by the profile there. O(log n) each.
SELECT x.name, u.number, coalesce(h.by_admin, false) AS by_admin, coalesce(h.opted_out, false) AS opted_out, i.version,
    i.desired_state, coalesce(p.opt_out, false) AS opt_out
-- include: numbers_by_name
LEFT JOIN LATERAL (SELECT * FROM hidden_users WHERE user_number = u.number AND namespace_id = $2::int OFFSET 0) AS h ON true
LEFT JOIN LATERAL (
    SELECT * FROM visibility_intents WHERE user_number = u.number AND namespace_id = $2 OFFSET 0) AS i ON true
LEFT JOIN LATERAL (SELECT opt_out FROM profiles WHERE user_number = u.number AND namespace_id = $2 OFFSET 0) AS p ON true;

-- name: get_confirmed_hides
-- Who is hidden in every partition, page by page, by version; $2 at most.
SELECT user_number, name, version, namespace_id FROM visibility_intents
WHERE desired_state = 'hide' AND pending_partitions = '{}' AND version > $1 ORDER BY version LIMIT $2;

-- name: get_erasures_under_way
-- Users who are being erased. O(log n) each.
SELECT user_number, name FROM visibility_intents WHERE desired_state = 'erase' ORDER BY version;

-- name: get_places_of_users
-- Where some users ($1) have entries: their names, and the namespaces that are not deleted; has_balances: whether Redis keeps
-- balances of theirs there, as it does from the first grant on that is not in quarantine. O(their namespaces × log n), and
-- O(their rows) where no grant of theirs counts.
SELECT u.number, u.name, n.partition, n.id AS namespace_id, s.grants > 0 OR EXISTS (
    SELECT FROM ledger l WHERE l.partition = n.partition AND l.namespace_id = n.id AND l.user_number = u.number
      AND l.kind || '' = 'grant' AND l.verb IS DISTINCT FROM 'quarantine' OFFSET 0) AS has_balances
FROM unnest($1::bigint[]) AS x (number)
CROSS JOIN LATERAL (SELECT number, name FROM users WHERE number = x.number OFFSET 0) AS u
CROSS JOIN LATERAL (SELECT namespace_id, grants FROM standings WHERE user_number = u.number OFFSET 0) AS s
CROSS JOIN LATERAL (SELECT id, partition FROM namespaces WHERE id = s.namespace_id AND deleted_at IS NULL OFFSET 0) AS n;

-- name: get_user_page
-- The numbers of users behind one ($1), $2 at most, in order. O($2 + log n).
SELECT number FROM users WHERE number > $1 ORDER BY number LIMIT $2;

-- name: raise_state_versions
-- From here on versions are beyond what Redis has seen: of rules ($1), of what is wished for users ($2), of profiles ($3), and
-- the ids of namespaces ($4).
SELECT setval('rules_version', greatest($1::bigint, (SELECT last_value FROM rules_version))),
    setval('visibility_version', greatest($2::bigint, (SELECT last_value FROM visibility_version))),
    setval('profile_version', greatest($3::bigint, (SELECT last_value FROM profile_version))),
    setval('namespaces_id_seq', greatest($4::bigint, (SELECT last_value FROM namespaces_id_seq)));

-- name: raise_announcements
-- The same of the numbers of announcements: of changes ($1) and of profiles ($2).
UPDATE announcements SET number = greatest(number, CASE kind WHEN 'changes' THEN $1::bigint ELSE $2::bigint END);

-- name: delete_changes_since_restore
-- The journal forgets versions up to one ($1) that were used anew behind a moment ($2): they are others' in Redis.
DELETE FROM state_changes WHERE version <= $1 AND
-- include: moment_of_token
> $2::bigint;

-- name: adopt_notes
-- Versions ($1) and tokens ($2) of which Redis was told belong to this history from now on.
INSERT INTO state_changes (version, kind, id, namespace_id, token)
SELECT version, 'note', '', 0, token FROM unnest($1::bigint[], $2::text[]) AS n (version, token)
ON CONFLICT (version) DO UPDATE SET token = excluded.token;

-- name: begin_state_version
-- A version beyond one ($1), with a token of its own. The one before it is in no journal: everything is published again.
WITH begun AS (
    UPDATE deployment SET state_version = greatest(state_version, $1) + 2, state_token = new_state_token()
    RETURNING state_version, state_token)
INSERT INTO state_changes (version, kind, id, namespace_id, token)
SELECT state_version, 'note', '', 0, state_token FROM begun;
