-- name: add_pending_archive_updates
-- Of entries, given by their places, the closed windows in which their grants lie or lay before. OFFSET 0 has them looked
-- up for each entry: an import has thousands of them in a transaction, and its namespace thousands of seals. O(entries × log n).
INSERT INTO pending_archive_updates (namespace_id, "window", user_number, partition, seq)
SELECT s.namespace_id, s."window", l.user_number, l.partition, l.seq
FROM unnest($1::smallint[], $2::int[], $3::bigint[]) AS x (p, epoch, seq)
JOIN ledger l ON l.partition = x.p AND l.epoch = x.epoch AND l.seq = x.seq AND l.partition = ANY($1)
-- include: replaced_by_row (partition = ANY($1))
CROSS JOIN LATERAL (
    SELECT namespace_id, "window" FROM seals
    WHERE namespace_id = l.namespace_id AND "window" = ANY(l.windows || b.windows) AND seq < l.seq OFFSET 0) AS s
JOIN namespaces n ON n.id = l.namespace_id AND n.deleted_at IS NULL
ON CONFLICT DO NOTHING;

-- name: add_pending_updates_of_window
-- The same of all entries behind the seal of a window ($2) of a namespace. O(the namespace's entries behind it × log n).
INSERT INTO pending_archive_updates (namespace_id, "window", user_number, partition, seq)
SELECT s.namespace_id, s."window", l.user_number, l.partition, l.seq FROM seals s
JOIN ledger l ON l.partition = partition_of($1) AND l.namespace_id = $1 AND l.seq > s.seq AND l.kind IN ('grant', 'correction')
-- include: replaced_by_row (partition = partition_of($1))
WHERE s.namespace_id = $1 AND s."window" = $2 AND s."window" = ANY(l.windows || b.windows)
ON CONFLICT DO NOTHING;

-- name: get_partitions_with_archive_work
-- Those of some partitions where an archive is to be written or updated. O(partitions × log n).
SELECT p AS partition FROM unnest($1::smallint[]) AS p
WHERE EXISTS (SELECT FROM seals s WHERE s.partition = p AND s.archived_at IS NULL)
   OR EXISTS (SELECT FROM pending_archive_updates t WHERE t.partition = p);

-- name: get_pending_archive_updates
-- What is to follow in archives that stand, window by window, but for some.
SELECT n.id, n.partition, n.name, n.version, n.rules::text, t."window", t.user_number, t.seq
FROM pending_archive_updates t JOIN namespaces n ON n.id = t.namespace_id AND n.deleted_at IS NULL
JOIN seals s ON s.namespace_id = t.namespace_id AND s."window" = t."window" AND s.archived_at IS NOT NULL
WHERE t.partition = $1 AND NOT n.id || ' ' || t."window" = ANY($2::text[]) ORDER BY t.namespace_id, t."window", t.seq LIMIT 10000;

-- name: finish_archive_updates
-- Updates that the archive of a window has taken in are no longer pending: those of some users, up to a seq.
DELETE FROM pending_archive_updates WHERE namespace_id = $1 AND "window" = $2 AND user_number = ANY($3::bigint[]) AND seq <= $4;

-- fragment: window_scores
-- The score of each user on the boards of a window ($2), by the grants in the log up to a seq ($5): of all users, or of some
-- ($6). A dead letter that was recorded after all counts from its own place in the log. $3, $4: no grant of the window has a
-- granted_at before or after these. $7: how grants make a score. $8: whether categories have boards. $9: whether places
-- among equals go by moments; else tie_place is 0. || '' keeps it to the index of moments. O(the window's grants × log n), or of those users.
WITH live AS (
    SELECT l.user_number, l.amount, l.granted_at, l.category, coalesce(f.first_seq, l.original_seq, l.seq) AS first_seq
    FROM ledger l
    -- include: grant_itself (row = l, partition = partition_of($1))
    WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.kind || '' IN ('grant', 'correction') AND NOT l.voided
      AND l.windows @> ARRAY[$2::text] AND l.granted_at BETWEEN $3 AND $4 AND coalesce(l.original_seq, l.seq) <= $5
      AND ($6::bigint[] IS NULL OR l.user_number = ANY($6))
      AND NOT EXISTS (
          -- include: later_corrections (row = l, partition = partition_of($1))
          AND coalesce(c.original_seq, c.seq) <= $5 OFFSET 0))
SELECT b.board, user_number,
       -- include: score_of_grants (how = $7)
       AS score,
       -- include: tie_place_of_grants (how = $7, has_tie_places = $9)
       AS tie_place
FROM live CROSS JOIN LATERAL (VALUES ($2::text), (CASE WHEN $8::boolean THEN $2 || ':' || category END)) AS b (board)
WHERE b.board IS NOT NULL GROUP BY b.board, user_number

-- name: get_window_scores
-- The scores of a window's boards, in no order.
-- include: window_scores
;

-- name: fill_new_scores
-- Puts those scores into `new_scores` as keys: each is multiplied by the sign ($10).
INSERT INTO new_scores SELECT board, user_number, $10::int * score, tie_place FROM (
-- include: window_scores
) AS scores;

-- name: create_archive_tables
-- What an archive is made of: a board as Redis held it, some users' scores as they are to be, and the rows that become others.
CREATE TEMP TABLE IF NOT EXISTS redis_rows (board text, name text, sort_key bigint, tie_place numeric) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS new_scores (board text, user_number bigint, sort_key bigint, tie_place numeric) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS changed_rows (
    archive_id integer, position integer, user_number bigint, sort_key bigint, tie_place numeric, better_users integer, better_scores integer,
    namespace_id integer
) ON COMMIT DELETE ROWS;

-- name: compare_with_redis
-- How many users differ between a sealed window in Redis and in the ledger, and one of their boards. An erased user's
-- scores stand in the ledger alone. $1: whether places in line are compared, too.
SELECT count(*) AS differ, min(coalesce(f.board, h.board)) AS board
FROM (SELECT new_scores.*, u.name FROM new_scores JOIN users u ON u.number = new_scores.user_number) AS f
FULL JOIN redis_rows h ON h.board = f.board AND h.name = f.name
LEFT JOIN hidden_users x ON x.user_number = f.user_number AND x.erased
WHERE (f.sort_key IS DISTINCT FROM h.sort_key OR ($1::boolean AND f.tie_place <> h.tie_place)) AND x.user_number IS NULL;

-- name: copy_tie_places
-- Takes the places in line of equal scores as Redis has them.
UPDATE new_scores f SET tie_place = h.tie_place FROM redis_rows h JOIN users u ON u.name = h.name
WHERE h.board = f.board AND u.number = f.user_number;

-- name: get_new_boards
-- The boards of `new_scores`.
SELECT DISTINCT board FROM new_scores;

-- name: get_new_users
-- The users of `new_scores`, by number.
SELECT DISTINCT user_number FROM new_scores ORDER BY user_number;

-- name: replace_new_scores
-- The rows of some users ($1) in `new_scores` become others: boards, users, sort keys and places among equals.
WITH gone AS (DELETE FROM new_scores WHERE user_number = ANY($1::bigint[]))
INSERT INTO new_scores SELECT * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::numeric[]);

-- name: get_users_with_lost_cells
-- Those of some users ($2), or of all, of whom the ledger lost something in a namespace. O(them × log n).
SELECT DISTINCT user_number FROM lost_cells
WHERE namespace_id = $1 AND ($2::bigint[] IS NULL OR user_number = ANY($2)) ORDER BY user_number;

-- name: put_archived_boards
-- The archives of the boards named, made where they are missing; a seq only rises.
INSERT INTO archived_boards (namespace_id, board, "window", seq) SELECT $1, unnest($2::text[]), $3, $4
ON CONFLICT (namespace_id, board) DO UPDATE SET seq = greatest(archived_boards.seq, excluded.seq) RETURNING id, board, seq;

-- name: find_changed_archive_rows
-- The rows of archives to rewrite once some users' scores are those of `new_scores`; a null position: delete the row.
-- Places and ranks as a sorted set gives them: among equals the earlier, else by name backwards. O(n log n).
WITH board_rows AS (
    SELECT r.archive_id, r.user_number, r.sort_key, r.tie_place, r.position, r.better_users, r.better_scores FROM archive_rows r
    WHERE r.archive_id = ANY($2::int[]) AND NOT r.user_number = ANY($3::bigint[])
    UNION ALL
    SELECT a.id, f.user_number, f.sort_key, f.tie_place, r.position, r.better_users, r.better_scores
    FROM new_scores f JOIN archived_boards a ON a.namespace_id = $1 AND a.board = f.board
    LEFT JOIN archive_rows r ON r.archive_id = a.id AND r.user_number = f.user_number AND r.sort_key = f.sort_key AND r.tie_place = f.tie_place
    WHERE a.id = ANY($2)),
now AS (
    SELECT h.*, row_number() OVER (PARTITION BY h.archive_id ORDER BY h.sort_key DESC, h.tie_place, u.name COLLATE "C" DESC) AS new_position,
           rank() OVER w - 1 AS above, dense_rank() OVER w - 1 AS steps
    FROM board_rows h JOIN users u ON u.number = h.user_number WINDOW w AS (PARTITION BY h.archive_id ORDER BY h.sort_key DESC))
INSERT INTO changed_rows
SELECT archive_id, new_position, user_number, sort_key, tie_place, above, steps, $1 FROM now
WHERE (position, better_users, better_scores) IS DISTINCT FROM (new_position::int, above::int, steps::int)
UNION ALL
SELECT r.archive_id, NULL, r.user_number, NULL, NULL, NULL, NULL, $1
FROM archived_boards a JOIN archive_rows r ON r.archive_id = a.id
WHERE a.id = ANY($2) AND r.user_number = ANY($3)
  AND NOT EXISTS (SELECT FROM new_scores f WHERE f.board = a.board AND f.user_number = r.user_number);

-- name: delete_changed_archive_rows
-- Removes the rows that are about to be written anew.
DELETE FROM archive_rows r USING changed_rows m WHERE r.archive_id = m.archive_id AND r.user_number = m.user_number;

-- name: insert_changed_archive_rows
-- Writes the changed rows anew. A row without a position has left its board.
INSERT INTO archive_rows (archive_id, position, user_number, sort_key, tie_place, better_users, better_scores, namespace_id)
SELECT archive_id, position, user_number, sort_key, tie_place, better_users, better_scores, namespace_id FROM changed_rows
WHERE position IS NOT NULL;

-- name: lock_hidden_archive_users
-- Once archives are written and before their users are marked: who is being hidden meanwhile is seen here, or sees them.
LOCK TABLE hidden_archive_users IN SHARE ROW EXCLUSIVE MODE;

-- name: mark_hidden_archive_users
-- Marks the hidden users among the changed rows, and removes marks of users without a row. O(changed rows).
WITH gone AS (
    DELETE FROM hidden_archive_users v USING changed_rows m
    WHERE m.position IS NULL AND v.archive_id = m.archive_id AND v.user_number = m.user_number)
INSERT INTO hidden_archive_users (namespace_id, archive_id, user_number)
SELECT m.namespace_id, m.archive_id, m.user_number FROM changed_rows m
JOIN hidden_users h ON h.user_number = m.user_number AND h.namespace_id IN (0, m.namespace_id)
WHERE m.position IS NOT NULL ON CONFLICT DO NOTHING;

-- fragment: archive_signature
-- What an archive says of its rows `r`: their number, the sums of their keys and of the squares of these, and a hash. sign:
-- what makes a key a score again.
count(r.user_number) AS board_size, coalesce(sum(r.sort_key), 0) AS keys,
       coalesce(sum(r.sort_key::numeric * r.sort_key), 0) AS squares,
       sha256(coalesce(string_agg(r.user_number || ' ' || {{sign}}::int * r.sort_key, E'\n' ORDER BY r.user_number), '')
              ::bytea) AS hash

-- name: sign_archives
-- A new revision: its board_size, its sums and its hash. sign: what makes a key a score again.
WITH made AS (
    UPDATE archived_boards SET revision = revision + 1, board_size = t.board_size, hash = t.hash, sort_keys_sum = t.keys, squares_sum = t.squares
    FROM (SELECT x.id,
          -- include: archive_signature (sign = $2)
          FROM unnest($1::int[]) AS x (id)
          LEFT JOIN LATERAL (
              SELECT user_number, sort_key FROM archive_rows WHERE archive_id = x.id ORDER BY position OFFSET 0) AS r ON true
          GROUP BY x.id) AS t
    WHERE archived_boards.id = t.id RETURNING namespace_id, archived_boards.id, revision, seq, archived_boards.board_size, archived_boards.hash)
INSERT INTO archive_revisions (namespace_id, archive_id, revision, seq, board_size, hash) SELECT * FROM made;

-- name: get_archived_boards
-- The archived boards of a window, each with the seq up to which it counts.
SELECT id, board, seq FROM archived_boards WHERE namespace_id = $1 AND "window" = $2;

-- name: get_archive_rows_of_users
-- The archived rows of some users, on all boards of a window.
SELECT a.board, r.user_number, r.sort_key, r.tie_place FROM archived_boards a JOIN archive_rows r ON r.archive_id = a.id
WHERE a.namespace_id = $1 AND a."window" = $2 AND r.user_number = ANY($3::bigint[]);
