-- fragment: export_columns
-- What an export tells of a row `l` of a grant: its user `u`, and its meta `m`.
SELECT l.namespace_id, l.grant_id, u.name AS user, l.amount, l.category, l.source, l.source_id, l.action, l.granted_at,
       l.session_id, m.meta::text AS meta, l.opening

-- name: export_grants
-- The grants of a partition ($1) and some namespaces ($2) that count, as their last revisions left them, where these came behind
-- a seq ($3) and since a moment ($4); in the order in which the grants themselves came, which decides between equal moments.
-- O(the partition's grants × log n).
-- include: export_columns
FROM (
    SELECT epoch, seq, namespace_id, grant_id FROM ledger
    WHERE partition = $1 AND namespace_id = ANY($2::int[]) AND kind = 'grant'
    ORDER BY coalesce(original_seq, seq) OFFSET 0) AS g
CROSS JOIN LATERAL (
    SELECT * FROM grant_revisions
    WHERE partition = $1 AND namespace_id = g.namespace_id AND grant_id = g.grant_id ORDER BY revision DESC LIMIT 1) AS l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
LEFT JOIN LATERAL (SELECT meta FROM grant_meta WHERE partition = $1 AND epoch = g.epoch AND seq = g.seq LIMIT 1) AS m ON true
WHERE NOT l.voided AND l.seq > $3 AND l.recorded_at >= $4;

-- name: export_revisions
-- All revisions of these grants that came behind a seq and since a moment, in the order of the log. O(the partition's ledger).
-- include: export_columns
, l.revision, coalesce(l.verb, l.kind) AS verb, l.voided, l.reason, l.actor, l.recorded_at, l.partition, l.epoch, l.seq
FROM ledger l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant (partition = $1)
WHERE l.partition = $1 AND l.namespace_id = ANY($2::int[]) AND l.seq > $3 AND l.recorded_at >= $4 AND l.kind IN ('grant', 'correction')
ORDER BY l.epoch, l.seq;

-- fragment: is_hidden_in
-- Whether a user is hidden in a namespace, there alone or everywhere.
EXISTS (SELECT FROM hidden_users h WHERE h.user_number = {{user}} AND h.namespace_id IN (0, {{namespace}}) OFFSET 0)

-- name: export_standings
-- Score and live grants of each user of some namespaces ($1), by namespace and number. O(their users).
SELECT s.namespace_id, u.name AS user, s.score, s.grants,
       -- include: is_hidden_in (user = s.user_number, namespace = s.namespace_id)
       AS hidden
FROM unnest($1::int[]) AS x (id)
JOIN LATERAL (SELECT * FROM standings WHERE namespace_id = x.id ORDER BY user_number OFFSET 0) AS s ON true
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = s.user_number LIMIT 1) AS u;

-- fragment: profile_columns
-- What is kept of a user in a namespace, or in the deployment (0): the profile, and why boards do not show them.
SELECT namespace_id, u.name AS user, p.display_name, p.avatar, p.timezone,
       coalesce(p.opt_out, false) OR coalesce(h.opted_out, false) AS opt_out, coalesce(h.by_admin, false) AS hidden
FROM profiles p FULL JOIN hidden_users h USING (user_number, namespace_id)
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = user_number LIMIT 1) AS u

-- name: export_profiles
-- Profiles and hidden users of some namespaces ($1; 0: of the deployment), without erased users. $2: of the deployment only
-- those of users in the namespaces. O(all profiles).
-- include: profile_columns
WHERE namespace_id = ANY($1::int[]) AND NOT coalesce(h.erased, false)
  AND (namespace_id <> 0 OR NOT $2::boolean OR EXISTS (
      SELECT FROM standings s WHERE s.user_number = coalesce(p.user_number, h.user_number) AND s.namespace_id = ANY($1) OFFSET 0))
ORDER BY namespace_id, user_number;

-- name: create_export_scores
-- The scores of boards, before they are ranked.
CREATE TEMP TABLE IF NOT EXISTS export_scores (board text, user_number bigint, sort_key bigint, tie_place numeric);

-- name: truncate_export_scores
-- Makes room for the scores of another namespace.
TRUNCATE export_scores;

-- fragment: shown_profile
-- What a board of a namespace ($1) calls a user: there, else in the deployment.
LEFT JOIN LATERAL (SELECT display_name, avatar FROM profiles WHERE user_number = {{user}} AND namespace_id = $1 LIMIT 1) AS own ON true
LEFT JOIN LATERAL (SELECT display_name, avatar FROM profiles WHERE user_number = {{user}} AND namespace_id = 0 LIMIT 1) AS wide ON true

-- name: export_open_boards
-- The boards of `export_scores` of a namespace ($1), ranked as sorted sets list them, without hidden users. O(n log n).
SELECT r.board, r.position, r.competition, r.dense, r.name AS user, r.sort_key,
       coalesce(own.display_name, wide.display_name) AS display_name, coalesce(own.avatar, wide.avatar) AS avatar
FROM (
    SELECT f.board, f.user_number, f.sort_key, u.name,
           row_number() OVER (PARTITION BY f.board ORDER BY f.sort_key DESC, f.tie_place, u.name COLLATE "C" DESC) AS position,
           rank() OVER (PARTITION BY f.board ORDER BY f.sort_key DESC) AS competition,
           dense_rank() OVER (PARTITION BY f.board ORDER BY f.sort_key DESC) AS dense
    FROM export_scores f CROSS JOIN LATERAL (SELECT name FROM users WHERE number = f.user_number LIMIT 1) AS u
    WHERE NOT
    -- include: is_hidden_in (user = f.user_number, namespace = $1)
    OFFSET 0) AS r
-- include: shown_profile (user = r.user_number)
ORDER BY r.board, r.position;

-- name: export_archived_boards
-- The archived boards of a namespace ($1), or of one window ($2), ranked anew without hidden users. O(n log n).
SELECT r.board, r.position, r.competition, r.dense, r.name AS user, r.sort_key,
       coalesce(own.display_name, wide.display_name) AS display_name, coalesce(own.avatar, wide.avatar) AS avatar
FROM (
    SELECT a.board, f.user_number, f.sort_key, u.name,
           row_number() OVER (PARTITION BY a.board ORDER BY f.position) AS position,
           rank() OVER (PARTITION BY a.board ORDER BY f.sort_key DESC) AS competition,
           dense_rank() OVER (PARTITION BY a.board ORDER BY f.sort_key DESC) AS dense
    FROM archived_boards a JOIN archive_rows f ON f.archive_id = a.id
    CROSS JOIN LATERAL (SELECT name FROM users WHERE number = f.user_number LIMIT 1) AS u
    WHERE a.namespace_id = $1 AND ($2::text IS NULL OR a."window" = $2) AND NOT
    -- include: is_hidden_in (user = f.user_number, namespace = $1)
    OFFSET 0) AS r
-- include: shown_profile (user = r.user_number)
ORDER BY r.board, r.position;

-- name: get_archived_windows
-- The windows of a namespace whose boards are in the archive.
SELECT "window" FROM seals WHERE namespace_id = $1 AND archived_at IS NOT NULL;

-- name: count_users_with_lost_cells
-- Of how many users each of some namespaces lost something that no row of the ledger tells.
SELECT namespace_id, count(DISTINCT user_number) AS users FROM lost_cells WHERE namespace_id = ANY($1::int[]) GROUP BY 1 ORDER BY 1;

-- name: export_profiles_of_user
-- Profile and state of one user ($1) in all namespaces where there are some; 0: in the deployment.
-- include: profile_columns
WHERE user_number = $1 ORDER BY namespace_id;

-- name: export_standings_of_user
-- Score and live grants of one user ($1) in each namespace.
SELECT s.namespace_id, u.name AS user, s.score, s.grants,
       -- include: is_hidden_in (user = s.user_number, namespace = s.namespace_id)
       AS hidden
FROM standings s CROSS JOIN LATERAL (SELECT name FROM users WHERE number = s.user_number LIMIT 1) AS u
WHERE s.user_number = $1 ORDER BY s.namespace_id;

-- name: export_revisions_of_user
-- All revisions of one user's ($2) grants in a namespace ($1), in the order of the log. O(the user's entries).
-- include: export_columns
, l.revision, coalesce(l.verb, l.kind) AS verb, l.voided, l.reason, l.actor, l.recorded_at, l.partition, l.epoch, l.seq
FROM ledger l
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.user_number LIMIT 1) AS u
-- include: meta_of_grant (partition = partition_of($1))
WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.user_number = $2 AND l.kind IN ('grant', 'correction')
ORDER BY l.epoch, l.seq;
