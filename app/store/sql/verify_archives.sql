-- name: find_differing_archives
-- Archives of which the size, the sums, the hash or the last revision's record is not what their rows come to. sign: what
-- makes a key a score again. O(n log n).
SELECT a.board, a.board_size, a.sort_keys_sum, a.squares_sum, t.board_size AS expected_board_size, t.keys AS expected_sort_keys_sum,
       t.squares AS expected_squares_sum, a.hash = t.hash AS is_signed,
       (v.seq, v.board_size, v.hash) IS NOT DISTINCT FROM (a.seq, a.board_size, a.hash) AS is_recorded
FROM archived_boards a CROSS JOIN LATERAL (
    SELECT
    -- include: archive_signature (sign = $2)
    FROM archive_rows r WHERE r.archive_id = a.id) AS t
LEFT JOIN archive_revisions v ON v.archive_id = a.id AND v.revision = a.revision
WHERE a.namespace_id = $1 AND ((a.board_size, a.sort_keys_sum, a.squares_sum, a.hash) IS DISTINCT FROM (t.board_size, t.keys, t.squares, t.hash)
    OR (v.seq, v.board_size, v.hash) IS DISTINCT FROM (a.seq, a.board_size, a.hash)) ORDER BY 1 LIMIT $3;

-- name: find_differing_archive_scores
-- Where archives are not what the grants of their windows come to, as window_scores computes it, by now: what came behind a
-- seal and is still to follow leaves its user out, and so does a lost score of theirs on that board, which verify/lost_archives.py
-- compares, and nobody else. All windows in one walk: O(the ledger × log n). Without
-- a user: the whole archive is gone.
WITH closed AS MATERIALIZED (SELECT "window" FROM seals WHERE namespace_id = $1 AND archived_at IS NOT NULL),
live AS (
    SELECT user_number, amount, granted_at, category, windows, first_seq FROM (
        SELECT user_number, amount, granted_at, category, windows, voided,
               min(coalesce(original_seq, seq)) OVER (PARTITION BY grant_id) AS first_seq,
               row_number() OVER (PARTITION BY grant_id ORDER BY revision DESC) AS recency
        FROM grant_revisions WHERE partition = partition_of($1) AND namespace_id = $1) AS l
    WHERE recency = 1 AND NOT voided),
expected AS (
    SELECT c."window", b.board, user_number, $2::int *
           -- include: score_of_grants (how = $3)
           AS sort_key,
           -- include: tie_place_of_grants (how = $3, has_tie_places = $6)
           AS tie_place
    FROM live CROSS JOIN LATERAL unnest(windows) AS w (name) JOIN closed c ON c."window" = w.name
    CROSS JOIN LATERAL (VALUES (w.name), (CASE WHEN $4::boolean THEN w.name || ':' || category END)) AS b (board)
    WHERE b.board IS NOT NULL GROUP BY 1, 2, 3),
actual AS (
    SELECT a."window", a.board, r.user_number, r.sort_key, r.tie_place FROM closed c
    JOIN archived_boards a ON a.namespace_id = $1 AND a."window" = c."window" JOIN archive_rows r ON r.archive_id = a.id),
differing AS (
    SELECT board, "window", user_number, h.sort_key AS actual, w.sort_key AS expected, h.tie_place AS actual_tie_place, w.tie_place AS expected_tie_place
    FROM actual h FULL JOIN expected w USING ("window", board, user_number)
    WHERE (h.sort_key IS DISTINCT FROM w.sort_key OR ($6 AND h.tie_place <> w.tie_place)) AND NOT EXISTS (
        SELECT FROM pending_archive_updates t
        WHERE t.namespace_id = $1 AND t."window" = coalesce(h."window", w."window")
          AND t.user_number = coalesce(h.user_number, w.user_number)) AND NOT EXISTS (
        SELECT FROM lost_cells x WHERE x.namespace_id = $1 AND x.user_number = coalesce(h.user_number, w.user_number)
          AND x.cells::jsonb ? ('b:' || board)))
SELECT board, NULL::bigint AS number, NULL::text AS "user", NULL::bigint AS actual, NULL::bigint AS expected,
       NULL::numeric AS actual_tie_place, NULL::numeric AS expected_tie_place
FROM (SELECT board FROM differing UNION SELECT "window" FROM closed) AS b
WHERE NOT EXISTS (SELECT FROM archived_boards a WHERE a.namespace_id = $1 AND a.board = b.board)
UNION ALL
SELECT d.board, d.user_number, u.name, d.actual, d.expected, d.actual_tie_place, d.expected_tie_place FROM differing d
JOIN archived_boards a ON a.namespace_id = $1 AND a.board = d.board JOIN users u ON u.number = d.user_number
ORDER BY 1, 2 LIMIT $5;

-- name: get_page_of_users_with_lost_cells
-- The users behind a number ($2) of whom the ledger lost something in a namespace, $3 at most. O(them × log n).
SELECT x.number, u.name FROM (
    SELECT DISTINCT user_number AS number FROM lost_cells
    WHERE namespace_id = $1 AND user_number > $2 ORDER BY user_number LIMIT $3) AS x
CROSS JOIN LATERAL (SELECT name FROM users WHERE number = x.number LIMIT 1) AS u ORDER BY x.number;

-- name: get_pending_archive_updates_of_users
-- In which archives of a namespace an entry of some users is still to follow. O(the namespace's pending updates).
SELECT "window", user_number FROM pending_archive_updates WHERE namespace_id = $1 AND user_number = ANY($2::bigint[]);

-- name: find_differing_archive_positions
-- Rows of archives whose position, count of better users or of better scores is not what their keys, seqs and names make of
-- them, as find_changed_archive_rows computes them. A name by which an erased user stood among equals is not known: there any order is right.
-- O(n log n).
WITH actual AS (
    SELECT a.id, a.board, u.name, r.position, r.sort_key, r.tie_place, r.better_users, r.better_scores,
           bool_or(coalesce(h.erased, false)) OVER (PARTITION BY a.id, r.sort_key, r.tie_place) AS any_order
    FROM archived_boards a JOIN archive_rows r ON r.archive_id = a.id JOIN users u ON u.number = r.user_number
    LEFT JOIN hidden_users h ON h.user_number = r.user_number AND h.erased WHERE a.namespace_id = $1)
SELECT * FROM (
    SELECT board, name AS "user", position, better_users, better_scores,
           row_number() OVER (PARTITION BY id ORDER BY sort_key DESC, tie_place, CASE WHEN any_order THEN '' ELSE name END COLLATE "C" DESC,
                              position) AS expected_position,
           rank() OVER w - 1 AS expected_better_users, dense_rank() OVER w - 1 AS expected_better_scores
    FROM actual WINDOW w AS (PARTITION BY id ORDER BY sort_key DESC)) AS p
WHERE (position, better_users, better_scores) <> (expected_position, expected_better_users, expected_better_scores) ORDER BY board, expected_position LIMIT $2;

-- name: find_differing_hidden_archive_users
-- Who is hidden and stands in an archive without the mark that says so, and marks of those who are not hidden or do not
-- stand there. O(n log n).
SELECT a.board, u.name AS "user", v.user_number IS NOT NULL AS is_marked
FROM (SELECT DISTINCT r.archive_id, r.user_number FROM archived_boards a JOIN archive_rows r ON r.archive_id = a.id
      JOIN hidden_users h ON h.user_number = r.user_number AND h.namespace_id IN (0, $1) WHERE a.namespace_id = $1) AS h
FULL JOIN (SELECT v.archive_id, v.user_number FROM archived_boards a JOIN hidden_archive_users v ON v.archive_id = a.id
           WHERE a.namespace_id = $1) AS v ON v.archive_id = h.archive_id AND v.user_number = h.user_number
JOIN archived_boards a ON a.id = coalesce(h.archive_id, v.archive_id)
LEFT JOIN users u ON u.number = coalesce(h.user_number, v.user_number)
WHERE h.user_number IS NULL OR v.user_number IS NULL ORDER BY 1, 2 LIMIT $2;
