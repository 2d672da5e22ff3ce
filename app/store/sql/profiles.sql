-- name: put_profile
-- Replaces a user's profile in a namespace ($2; 0: in the deployment); opt_out: null leaves it as it is. The version is taken
-- under the row's lock: the last one is the highest.
INSERT INTO profiles AS p (user_number, namespace_id, display_name, avatar, timezone, opt_out, folded_name)
VALUES ($1, $2, $3, $4, $5, coalesce($6::boolean, false), $7)
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET version = nextval('profile_version'), display_name = excluded.display_name, avatar = excluded.avatar,
    timezone = excluded.timezone, opt_out = coalesce($6, p.opt_out), folded_name = excluded.folded_name
RETURNING version, opt_out;

-- fragment: profiles_by_name
-- Profiles of a namespace whose display name begins so, as `search_users` takes its arguments. O(log n + $8).
SELECT folded_name, user_number, display_name, 1 FROM profiles
         WHERE namespace_id = {{namespace}} AND folded_name COLLATE "C" >= $4 AND folded_name COLLATE "C" < $5
           AND (folded_name COLLATE "C", user_number) > ($6, $7) ORDER BY folded_name COLLATE "C", user_number LIMIT $8

-- name: search_users
-- Users of a namespace ($1) whose id begins so ($2 up to $3), or whose display name there does ($4 up to $5, without case),
-- behind a key and a number ($6, $7), each once: by the id where that matches, too. Looks at $8 of those that begin so
-- anywhere, answers $9 at most. $10: hidden users, too, and those without a grant who have a profile or a state there.
-- key, number: of a user that matches; last_key, last_number: how far it looked; looked: at how many. O($8 × log n).
WITH looked AS MATERIALIZED (
    SELECT key, number, display_name FROM (
        (SELECT name COLLATE "C" AS key, number, NULL AS display_name, 0 AS kind FROM users
         WHERE name COLLATE "C" >= $2 AND name COLLATE "C" < $3 AND (name COLLATE "C", number) > ($6, $7)
         ORDER BY name COLLATE "C", number LIMIT $8)
        UNION ALL
        (
         -- include: profiles_by_name (namespace = $1)
        )
        UNION ALL
        (
         -- include: profiles_by_name (namespace = 0)
        )) AS s
    ORDER BY key COLLATE "C", number, kind LIMIT $8),
matches AS (
    SELECT DISTINCT ON (l.key COLLATE "C", l.number) l.key, l.number, u.name,
           coalesce(own.display_name, wide.display_name) AS display_name, coalesce(own.avatar, wide.avatar) AS avatar,
           EXISTS (SELECT FROM hidden_users h WHERE h.user_number = l.number AND h.namespace_id IN (0, $1)) AS hidden
    FROM looked l
    CROSS JOIN LATERAL (SELECT name FROM users WHERE number = l.number LIMIT 1) AS u
    LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = l.number AND namespace_id = $1 LIMIT 1) AS own ON true
    LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = l.number AND namespace_id = 0 LIMIT 1) AS wide ON true
    WHERE (l.display_name IS NULL OR l.display_name = coalesce(own.display_name, wide.display_name)
           AND NOT (u.name COLLATE "C" >= $2 AND u.name COLLATE "C" < $3))
      AND (EXISTS (
              SELECT FROM standings s WHERE s.user_number = l.number AND s.namespace_id = $1 OFFSET 0)
           OR $10::boolean AND (own.user_number IS NOT NULL OR EXISTS (
               SELECT FROM hidden_users h WHERE h.user_number = l.number AND h.namespace_id = $1)))
      AND ($10 OR NOT EXISTS (SELECT FROM hidden_users h WHERE h.user_number = l.number AND h.namespace_id IN (0, $1)))
    ORDER BY l.key COLLATE "C", l.number LIMIT $9)
SELECT matches.*, e.looked, e.last_key, e.last_number
FROM (SELECT count(*) AS looked, (array_agg(key ORDER BY key COLLATE "C" DESC, number DESC))[1] AS last_key,
             (array_agg(number ORDER BY key COLLATE "C" DESC, number DESC))[1] AS last_number FROM looked) AS e
LEFT JOIN matches ON true ORDER BY matches.key COLLATE "C", matches.number;

-- name: get_profile
-- A known user's profile; nulls where they have none.
SELECT p.display_name, p.avatar, p.timezone, coalesce(p.opt_out, false) AS opt_out
FROM users u LEFT JOIN profiles p ON p.user_number = u.number AND p.namespace_id = 0 WHERE u.name = $1;

-- name: get_profiles
-- All profiles, page by page, by user and namespace; partition: null of those of the deployment.
SELECT p.user_number, p.namespace_id, n.partition, u.name, p.version, p.display_name, p.avatar, p.timezone, p.opt_out
FROM profiles p JOIN users u ON u.number = p.user_number LEFT JOIN namespaces n ON n.id = p.namespace_id
WHERE (p.user_number, p.namespace_id) > ($1, $2) AND n.deleted_at IS NULL ORDER BY 1, 2 LIMIT $3;

-- name: get_profiles_of_users
-- The profiles of some users ($1) in a namespace each ($2; 0: in the deployment); nulls where there is none. partition: of
-- the namespace. O(log n) each.
SELECT x.number AS user_number, x.namespace_id, n.partition, u.name, p.version, p.display_name, p.avatar, p.timezone,
       coalesce(p.opt_out, false) AS opt_out
FROM unnest($1::bigint[], $2::int[]) AS x (number, namespace_id)
LEFT JOIN LATERAL (
    SELECT * FROM profiles WHERE user_number = x.number AND namespace_id = x.namespace_id OFFSET 0) AS p ON true
LEFT JOIN LATERAL (SELECT name FROM users WHERE number = x.number OFFSET 0) AS u ON true
LEFT JOIN LATERAL (SELECT partition FROM namespaces WHERE id = x.namespace_id OFFSET 0) AS n ON true;

-- name: get_users_with_profile
-- Those of some users, by name, who have a profile in a namespace ($2; 0: in the deployment). O(log n) each.
SELECT x.name FROM unnest($1::text[]) AS x (name)
CROSS JOIN LATERAL (SELECT number FROM users WHERE name = x.name OFFSET 0) AS u
CROSS JOIN LATERAL (
    SELECT FROM profiles WHERE user_number = u.number AND namespace_id = $2::int OFFSET 0) AS p;

-- name: get_next_profile_version
-- A version that is greater than all before.
SELECT nextval('profile_version') AS version;

-- name: get_profile_namespaces
-- Where a user has a profile of a namespace.
SELECT n.id, n.partition FROM profiles p JOIN namespaces n ON n.id = p.namespace_id
WHERE p.user_number = $1 AND n.deleted_at IS NULL;

-- name: delete_profiles
-- Those of namespaces, too.
DELETE FROM profiles WHERE user_number = $1;

-- name: get_profiles_by_name
-- The profiles in the deployment of some users, by name, of those who have one. O(log n) each.
SELECT x.name, p.version, p.display_name, p.avatar, p.timezone, p.opt_out FROM unnest($1::text[]) AS x (name)
CROSS JOIN LATERAL (SELECT number FROM users WHERE name = x.name OFFSET 0) AS u
CROSS JOIN LATERAL (SELECT * FROM profiles WHERE user_number = u.number AND namespace_id = 0 OFFSET 0) AS p;

-- name: get_namespaces_with_profiles
-- The namespaces with profiles of their own. O(namespaces with profiles × log n).
WITH RECURSIVE ids AS (
    (SELECT namespace_id FROM profiles WHERE namespace_id > 0 ORDER BY namespace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.namespace_id FROM profiles p WHERE p.namespace_id > f.namespace_id
            ORDER BY p.namespace_id LIMIT 1)
    FROM ids f WHERE f.namespace_id IS NOT NULL)
SELECT namespace_id FROM ids WHERE namespace_id IS NOT NULL;
