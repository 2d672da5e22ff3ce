-- fragment: users_by_beginning
-- Users of a namespace ($1) whose folded id or name begins so (up to $3), behind a key and a number ($4, $5; the first page: the
-- beginning and -1), by key and number, $6 at most. One whose id and name do is there twice. Each part has the limit, too: so
-- the planner reads both indexes in order and merges them, and the first rows cost O(log n) each.
SELECT key, user_number, folded_id, is_name FROM (
    (SELECT folded_id AS key, user_number, folded_id, false AS is_name FROM searchable_users
     WHERE namespace_id = $1 AND (folded_id, user_number) > ($4, $5) AND folded_id < $3
     ORDER BY folded_id, user_number LIMIT $6)
    UNION ALL
    (SELECT folded_name, user_number, folded_id, true FROM searchable_users
     WHERE namespace_id = $1 AND (folded_name, user_number) > ($4, $5) AND folded_name < $3
     ORDER BY folded_name, user_number LIMIT $6)) AS s
ORDER BY key, user_number LIMIT $6

-- name: find_searchable_users
-- Those of them who may be shown, $7 at most, of $6 at most that are looked at. A name counts while the boards show it, and
-- where the id does not begin with $2, too.
-- $8: hidden users, too, and those without a grant who have a profile or a state there. O($7 × log n), and O($6 × log n) where
-- few may be shown.
SELECT c.key, c.user_number AS number, u.name, coalesce(own.display_name, wide.display_name) AS display_name,
       coalesce(own.avatar, wide.avatar) AS avatar, h.is_hidden AS hidden
FROM (
    -- include: users_by_beginning
) AS c
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = c.user_number OFFSET 0) AS u
LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = c.user_number AND namespace_id = $1 OFFSET 0) AS own ON true
LEFT JOIN LATERAL (SELECT * FROM profiles WHERE user_number = c.user_number AND namespace_id = 0 OFFSET 0) AS wide ON true
CROSS JOIN LATERAL (
    SELECT EXISTS (SELECT FROM hidden_users WHERE user_number = c.user_number AND namespace_id IN (0, $1)) AS is_hidden,
           EXISTS (SELECT FROM hidden_users WHERE user_number = c.user_number AND namespace_id = $1) AS has_state,
           EXISTS (SELECT FROM hidden_users WHERE user_number = c.user_number AND namespace_id = 0 AND erased) AS is_erased,
           EXISTS (SELECT FROM standings WHERE user_number = c.user_number AND namespace_id = $1) AS has_grant
    OFFSET 0) AS h
WHERE (NOT c.is_name OR c.key = coalesce(own.folded_name, wide.folded_name)
                        AND NOT (c.folded_id >= $2 AND c.folded_id < $3))
  AND NOT h.is_erased
  AND (h.has_grant OR $8::boolean AND (own.user_number IS NOT NULL OR h.has_state)) AND ($8 OR NOT h.is_hidden)
ORDER BY c.key, c.user_number LIMIT $7;

-- name: get_search_reach
-- How far a page looked that was not filled: the last of $6 users by beginning; no row where there are fewer. O($6).
SELECT user_number AS number, is_name FROM (
    -- include: users_by_beginning
) AS c WHERE key >= $2 OFFSET $6 - 1;

-- name: get_search_key
-- By what a user ($2) is found in a namespace ($1): the folded name ($3), or the folded id. No row where there is none. O(log n).
SELECT key FROM (
    SELECT CASE WHEN $3::boolean THEN folded_name ELSE folded_id END AS key FROM searchable_users
    WHERE user_number = $2 AND namespace_id = $1) AS s WHERE key IS NOT NULL;

-- name: find_unsearchable_users
-- Users with new rows in the ledger who have no row in a namespace. O(rows × log n).
SELECT n.namespace_id, n.user_number AS number, u.name FROM (
    SELECT m.namespace_id, m.user_number FROM (
        SELECT DISTINCT l.namespace_id, l.user_number
        -- include: spans_of_new_rows
        CROSS JOIN LATERAL (
            SELECT namespace_id, user_number FROM ledger
            -- include: new_rows
              AND user_number IS NOT NULL OFFSET 0) AS l OFFSET 0) AS m
    LEFT JOIN LATERAL (
        SELECT user_number FROM searchable_users
        WHERE user_number = m.user_number AND namespace_id = m.namespace_id OFFSET 0) AS s ON true
    WHERE s.user_number IS NULL OFFSET 0) AS n
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = n.user_number OFFSET 0) AS u;

-- name: add_searchable_users
-- Rows of users ($1) who have none in a namespace ($2), with their ids without case ($3). O(log n) each.
INSERT INTO searchable_users (user_number, namespace_id, folded_id, folded_name)
SELECT x.number, x.namespace_id, x.folded_id, (
    SELECT folded_name FROM profiles
    WHERE user_number = x.number AND namespace_id IN (0, x.namespace_id) AND folded_name IS NOT NULL
    ORDER BY namespace_id DESC LIMIT 1)
FROM unnest($1::bigint[], $2::int[], $3::text[]) AS x (number, namespace_id, folded_id)
CROSS JOIN LATERAL (SELECT FROM namespaces WHERE id = x.namespace_id AND deleted_at IS NULL OFFSET 0) AS n
ORDER BY x.number, x.namespace_id
ON CONFLICT DO NOTHING;

-- name: update_searchable_users
-- Writes the rows of some users ($1), whose ids without case are $2, as they should be: of each those of $4 namespaces at most
-- behind one ($3). Tells of how many and up to which. Rows of users who are erased go. O($1 × $4 × log n).
WITH places AS MATERIALIZED (
    SELECT x.number, x.folded_id, p.namespace_id
    FROM unnest($1::bigint[], $2::text[], $3::int[]) AS x (number, folded_id, reached)
    CROSS JOIN LATERAL (
        SELECT namespace_id FROM (
            (SELECT namespace_id FROM standings WHERE user_number = x.number AND namespace_id > x.reached
             ORDER BY namespace_id LIMIT $4)
            UNION
            (SELECT namespace_id FROM profiles WHERE user_number = x.number AND namespace_id > x.reached
             ORDER BY namespace_id LIMIT $4)
            UNION
            (SELECT namespace_id FROM hidden_users WHERE user_number = x.number AND namespace_id > x.reached
             ORDER BY namespace_id LIMIT $4)) AS s
        ORDER BY namespace_id LIMIT $4) AS p),
erased AS MATERIALIZED (
    SELECT x.number FROM unnest($1) AS x (number)
    CROSS JOIN LATERAL (
        SELECT FROM hidden_users WHERE user_number = x.number AND namespace_id = 0 AND hidden_users.erased OFFSET 0) AS h),
gone AS (DELETE FROM searchable_users WHERE user_number = ANY(ARRAY(SELECT number FROM erased))),
written AS (
    INSERT INTO searchable_users (user_number, namespace_id, folded_id, folded_name)
    SELECT p.number, p.namespace_id, p.folded_id, s.folded_name
    FROM places p
    CROSS JOIN LATERAL (SELECT FROM namespaces WHERE id = p.namespace_id AND deleted_at IS NULL OFFSET 0) AS n
    CROSS JOIN LATERAL (
        SELECT (SELECT folded_name FROM profiles
                WHERE user_number = p.number AND namespace_id IN (0, p.namespace_id) AND folded_name IS NOT NULL
                ORDER BY namespace_id DESC LIMIT 1) AS folded_name OFFSET 0) AS s
    LEFT JOIN LATERAL (
        SELECT folded_id, folded_name FROM searchable_users
        WHERE user_number = p.number AND namespace_id = p.namespace_id OFFSET 0) AS r ON true
    WHERE (r.folded_id, r.folded_name) IS DISTINCT FROM (p.folded_id, s.folded_name)
      AND p.number NOT IN (SELECT number FROM erased)
    ORDER BY p.number, p.namespace_id
    ON CONFLICT (user_number, namespace_id) DO UPDATE
    SET folded_id = excluded.folded_id, folded_name = excluded.folded_name)
SELECT number, count(*) AS namespaces, max(namespace_id) AS reached FROM places GROUP BY number;

-- name: get_due_search_updates
-- Users whose rows are to be updated: $3 at most of those whose number, divided by $1, leaves one of $2; first those that were
-- not updated since their change. O($3 × log n), and O(the others').
SELECT p.user_number AS number, p.version, p.reached_namespace, u.name FROM (
    (SELECT user_number, version, reached_namespace FROM pending_search_updates
     WHERE recheck_xid IS NULL AND user_number % $1 = ANY($2::bigint[]) ORDER BY version LIMIT $3)
    UNION ALL
    (SELECT user_number, version, reached_namespace FROM pending_search_updates
     WHERE recheck_xid <= pg_snapshot_xmin(pg_current_snapshot()) AND user_number % $1 = ANY($2)
     ORDER BY recheck_xid, version LIMIT $3)
    LIMIT $3) AS p
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = p.user_number OFFSET 0) AS u;

-- name: settle_search_updates
-- Notes how far updates of users ($1) came: to a namespace ($3), or, where that is null, to the end; those end that were done
-- again. Of a user who changed since (another version than $2) nothing. O(log n) each.
WITH steps AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS x (number, version, reached)),
gone AS (
    DELETE FROM pending_search_updates p USING steps x
    WHERE p.user_number = x.number AND p.version = x.version AND x.reached IS NULL AND p.recheck_xid IS NOT NULL)
UPDATE pending_search_updates p
SET reached_namespace = coalesce(x.reached, 0),
    recheck_xid = CASE WHEN x.reached IS NULL THEN pg_snapshot_xmax(pg_current_snapshot()) ELSE p.recheck_xid END
FROM steps x
WHERE p.user_number = x.number AND p.version = x.version AND NOT (x.reached IS NULL AND p.recheck_xid IS NOT NULL);

-- name: add_search_updates
-- Notes that the rows of some users are to be updated. O(log n) each.
SELECT add_search_update(number) FROM unnest($1::bigint[]) AS x (number);

-- name: is_search_filled
-- Whether all users are found by their rows.
SELECT done_at IS NOT NULL AS is_filled FROM search_fill;

-- name: fill_search
-- Notes the next users ($1 at most) from before there were rows. Tells how many. O($1 × log n).
WITH page AS MATERIALIZED (
    SELECT number FROM users WHERE number > (SELECT reached_user FROM search_fill) ORDER BY number LIMIT $1),
noted AS (INSERT INTO pending_search_updates (user_number) SELECT number FROM page ON CONFLICT DO NOTHING),
moved AS (
    UPDATE search_fill SET reached_user = greatest(reached_user, (SELECT max(number) FROM page)),
        last_version = CASE WHEN NOT EXISTS (SELECT FROM page)
                            THEN coalesce(last_version, nextval('search_update_version')) END)
SELECT count(*) AS users FROM page;

-- name: end_search_fill
-- Notes that all users have their rows, if so. O(log n).
UPDATE search_fill SET done_at = now()
WHERE done_at IS NULL AND last_version IS NOT NULL AND NOT EXISTS (
    SELECT FROM pending_search_updates p WHERE p.recheck_xid IS NULL AND p.version < last_version)
RETURNING true AS is_filled;

-- name: delete_searchable_users
-- The rows of a user who is erased; they are looked at once more. O(the user's namespaces).
WITH noted AS (SELECT add_search_update($1::bigint))
DELETE FROM searchable_users USING noted WHERE user_number = $1;

-- name: delete_searchable_users_of_namespaces
-- Some rows of some deleted namespaces. O($2 × log n).
DELETE FROM searchable_users WHERE (user_number, namespace_id) IN (
    SELECT user_number, namespace_id FROM searchable_users WHERE namespace_id = ANY($1::int[]) LIMIT $2);

-- name: get_search_rows
-- Users of a namespace ($1) with a grant behind one ($2), $3 at most, by number: what finds them, and whether it is as it should
-- be, but for the id's folded text. is_pending: it is to be updated, or
-- the rows follow the ledger and are not that far. O($3 × log n).
SELECT s.user_number AS number, u.name, r.folded_id, r.folded_name IS NOT DISTINCT FROM w.folded_name AS is_name_right,
       p.user_number IS NOT NULL OR r.folded_id IS NULL AND NOT EXISTS (
           SELECT FROM ledger l JOIN partitions c ON c.partition = l.partition
           WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.user_number = s.user_number
             AND l.seq <= c.counted_seq) AS is_pending, h.user_number IS NOT NULL AS is_erased
FROM (
    SELECT user_number FROM standings WHERE namespace_id = $1 AND user_number > $2 ORDER BY user_number LIMIT $3) AS s
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = s.user_number OFFSET 0) AS u
CROSS JOIN LATERAL (
    SELECT (SELECT folded_name FROM profiles
            WHERE user_number = s.user_number AND namespace_id IN (0, $1) AND folded_name IS NOT NULL
            ORDER BY namespace_id DESC LIMIT 1) AS folded_name OFFSET 0) AS w
LEFT JOIN LATERAL (
    SELECT folded_id, folded_name FROM searchable_users
    WHERE user_number = s.user_number AND namespace_id = $1 OFFSET 0) AS r ON true
LEFT JOIN LATERAL (
    SELECT user_number FROM pending_search_updates WHERE user_number = s.user_number OFFSET 0) AS p ON true
LEFT JOIN LATERAL (
    SELECT user_number FROM hidden_users
    WHERE user_number = s.user_number AND namespace_id = 0 AND erased OFFSET 0) AS h ON true
ORDER BY s.user_number;
