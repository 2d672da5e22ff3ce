-- fragment: archive_columns
-- The columns of an archived board `a`, of a row `r` there and of its user `u`. has_hidden: whether any user of the board is
-- hidden; is_hidden: whether this one is. Each OFFSET 0 keeps that a look-up of its key.
SELECT a.board_size, r.position, u.name, r.sort_key, r.tie_place, r.better_users, r.better_scores,
       EXISTS (SELECT FROM hidden_archive_users v WHERE v.archive_id = a.id OFFSET 0) AS has_hidden,
       EXISTS (SELECT FROM hidden_archive_users v WHERE v.archive_id = a.id AND v.user_number = r.user_number OFFSET 0) AS is_hidden,
       a.revision

-- fragment: users_above
-- How many users of an archived board `a` have a key above a given one. O(log n).
coalesce((SELECT better_users FROM archive_rows WHERE archive_id = a.id AND sort_key <= {{key}} ORDER BY sort_key DESC LIMIT 1),
                        a.board_size)

-- name: get_archive_page
-- The rows of an archived board from one position ($3) to another ($4), in the board's order. Where there are none, one row
-- with the board's own columns and nulls; no row where there is no archive. The next queries answer in the same way.
-- O(log n + rows).
-- include: archive_columns
FROM archived_boards a LEFT JOIN archive_rows r ON r.archive_id = a.id AND r.position BETWEEN $3 AND $4
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: get_archive_rows_at
-- The rows of an archived board at some positions ($3), in the board's order. O(log n) each.
-- include: archive_columns
FROM archived_boards a LEFT JOIN archive_rows r ON r.archive_id = a.id AND r.position = ANY($3::int[])
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: count_archive_rows_above
-- For each of some keys ($3), in their order: how many users, and how many different scores, are above it. A key need not be
-- that of a user. O(log n) a key.
SELECT a.board_size, k.sort_key, coalesce(n.better_users, a.board_size) AS better_users,
       coalesce(n.better_scores, (SELECT r.better_scores + 1 FROM archive_rows r WHERE r.archive_id = a.id AND r.position = a.board_size), 0) AS better_scores,
       EXISTS (SELECT FROM hidden_archive_users v WHERE v.archive_id = a.id OFFSET 0) AS has_hidden
FROM archived_boards a CROSS JOIN unnest($3::bigint[]) WITH ORDINALITY AS k (sort_key, number)
LEFT JOIN LATERAL (SELECT r.better_users, r.better_scores FROM archive_rows r WHERE r.archive_id = a.id AND r.sort_key <= k.sort_key
                   ORDER BY r.sort_key DESC LIMIT 1) AS n ON true
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY k.number;

-- name: get_archive_rows_by_name
-- The rows of some users ($3: names) on an archived board, in the board's order. A user who is not on the board has nulls.
-- O(log n) a user.
-- include: archive_columns
FROM archived_boards a LEFT JOIN users u ON u.name = ANY($3::text[])
LEFT JOIN archive_rows r ON r.archive_id = a.id AND r.user_number = u.number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: get_archive_neighbours
-- The row of a user ($3: name) on an archived board, and the $4 rows before and behind it, in the board's order.
-- O(log n + rows).
-- include: archive_columns
FROM archived_boards a
LEFT JOIN archive_rows o ON o.archive_id = a.id AND o.user_number = (SELECT number FROM users WHERE name = $3)
LEFT JOIN archive_rows r ON r.archive_id = a.id AND r.position BETWEEN o.position - $4 AND o.position + $4
LEFT JOIN users u ON u.number = r.user_number
WHERE a.namespace_id = $1 AND a.board = $2 ORDER BY r.position;

-- name: get_archive_rows_after
-- The $6 rows of an archived board behind a cursor, in the board's order. The cursor is the key ($3), the tie_place ($4) and
-- the name ($5) of a user, who need not be on the board any more. Then the query halves the positions of the equal keys until
-- it finds where the user would be, because no index has their names. O(log n + rows).
WITH RECURSIVE a AS MATERIALIZED (SELECT id, board_size, revision FROM archived_boards WHERE namespace_id = $1 AND board = $2),
own AS MATERIALIZED (
    SELECT r.position + 1 AS position FROM archive_rows r
    WHERE r.archive_id = (SELECT id FROM a) AND r.user_number = (SELECT number FROM users WHERE name = $5)
      AND r.sort_key = $3 AND r.tie_place = $4),
ties AS MATERIALIZED (
    SELECT (SELECT better_users + 1 FROM archive_rows WHERE archive_id = a.id AND sort_key = $3 LIMIT 1) AS first,
           -- include: users_above (key = $3::bigint - 1)
           + 1 AS behind FROM a),
halves (low, high) AS (
    SELECT coalesce(first, behind), behind FROM ties WHERE NOT EXISTS (SELECT FROM own)
    UNION ALL
    SELECT CASE WHEN m.is_behind THEN h.low ELSE h.middle + 1 END, CASE WHEN m.is_behind THEN h.middle ELSE h.high END
    FROM (SELECT low, high, (low + high) / 2 AS middle FROM halves WHERE low < high) AS h
    CROSS JOIN LATERAL (
        SELECT r.tie_place > $4 OR (r.tie_place = $4 AND u.name COLLATE "C" < $5) AS is_behind
        FROM archive_rows r JOIN users u ON u.number = r.user_number
        WHERE r.archive_id = (SELECT id FROM a) AND r.position = h.middle OFFSET 0) AS m),
start AS MATERIALIZED (SELECT coalesce((SELECT position FROM own), (SELECT low FROM halves WHERE low = high)) AS position)
-- include: archive_columns
FROM a LEFT JOIN archive_rows r ON r.archive_id = a.id
     AND r.position BETWEEN (SELECT position FROM start) AND (SELECT position FROM start) + $6::int - 1
LEFT JOIN users u ON u.number = r.user_number ORDER BY r.position;

-- name: get_hidden_archive_rows
-- The hidden users of an archived board, in the board's order: position and key of each, and how many users have that key.
-- O(hidden users × log n + users with their keys).
WITH gone AS MATERIALIZED (
    SELECT r.archive_id, r.position, r.sort_key, a.revision FROM archived_boards a
    JOIN hidden_archive_users v ON v.archive_id = a.id
    CROSS JOIN LATERAL (SELECT * FROM archive_rows WHERE archive_id = a.id AND user_number = v.user_number LIMIT 1) AS r
    WHERE a.namespace_id = $1 AND a.board = $2),
peers AS MATERIALIZED (
    SELECT k.sort_key, n.peers FROM (SELECT DISTINCT archive_id, sort_key FROM gone) AS k
    CROSS JOIN LATERAL (SELECT count(*) AS peers FROM archive_rows p WHERE p.archive_id = k.archive_id AND p.sort_key = k.sort_key) AS n)
SELECT g.position, g.sort_key, p.peers, g.revision FROM gone g JOIN peers p USING (sort_key) ORDER BY g.position;

-- name: get_archive_stats
-- The statistics of an archived board without its hidden users, as lua/read_board_stats.lua makes them of a board. $3, $4: the
-- lowest and the highest key that count. $5: bins of the histogram. $6: percents in ten-thousandths; the answer has the key of
-- each by nearest rank, or with $9 the two keys between which it lies. $7: 1 or -1, what a key is multiplied by to be a score.
-- $8: whether the sum of a part of the board is asked for, which is O(its rows). Everything else comes from sums, positions
-- and counts that the archive keeps: O((bins + percents + hidden users) × log n).
WITH a AS MATERIALIZED (SELECT id, board_size, sort_keys_sum, squares_sum FROM archived_boards WHERE namespace_id = $1 AND board = $2),
gone AS MATERIALIZED (
    SELECT r.sort_key, r.position - row_number() OVER (ORDER BY r.position) AS shown_above
    FROM hidden_archive_users v
    CROSS JOIN LATERAL (SELECT * FROM archive_rows WHERE archive_id = v.archive_id AND user_number = v.user_number LIMIT 1) AS r
    WHERE v.archive_id = (SELECT id FROM a)),
ends AS MATERIALIZED (
    SELECT min(above) FILTER (WHERE number = 1) AS first, max(above) AS behind
    FROM a CROSS JOIN (VALUES (1, $4::bigint), (2, $3::bigint - 1)) AS k (number, sort_key)
    CROSS JOIN LATERAL (
        SELECT
        -- include: users_above (key = k.sort_key)
        - (SELECT count(*) FROM gone g WHERE g.sort_key > k.sort_key) AS above) AS n),
whole AS MATERIALIZED (SELECT first, behind, greatest(behind - first, 0) AS count FROM ends),
percentiles AS MATERIALIZED (
    SELECT p.number, r.sort_key FROM whole
    CROSS JOIN LATERAL (
        SELECT 2 * p.number AS number, behind + 1 - CASE
                   WHEN $9::bool THEN p.percent * (count - 1) / 1000000 + 1
                   ELSE greatest((p.percent * count + 999999) / 1000000, 1) END AS shown_position
        FROM unnest($6::bigint[]) WITH ORDINALITY AS p (percent, number)
        UNION ALL SELECT 2 * p.number + 1, behind + 1 - least(p.percent * (count - 1) / 1000000 + 2, count)
        FROM unnest($6::bigint[]) WITH ORDINALITY AS p (percent, number) WHERE $9
        UNION ALL SELECT 0, behind UNION ALL SELECT -1, first + 1) AS p
    CROSS JOIN LATERAL (
        SELECT sort_key FROM archive_rows WHERE archive_id = (SELECT id FROM a)
        AND position = p.shown_position + (SELECT count(*) FROM gone WHERE shown_above < p.shown_position) LIMIT 1) AS r
    WHERE count > 0),
scores AS (
    SELECT min($7::bigint * sort_key) AS lowest, max($7::bigint * sort_key) AS highest FROM percentiles WHERE number <= 0),
edges AS MATERIALIZED (
    SELECT i, lowest + width / n * i + width % n * i / n AS begin
    FROM scores, LATERAL (SELECT highest - lowest + 1 AS width) AS w, LATERAL (SELECT least($5::bigint, width) AS n) AS b,
         generate_series(0, n - 1) AS i
    WHERE lowest IS NOT NULL),
under AS (
    SELECT i, begin, CASE WHEN $7 > 0 THEN behind - above ELSE above - first END AS under
    FROM whole, a, edges CROSS JOIN LATERAL (SELECT CASE WHEN $7 > 0 THEN begin - 1 ELSE -begin END AS sort_key) AS k
    CROSS JOIN LATERAL (
        SELECT
        -- include: users_above (key = k.sort_key)
        - (SELECT count(*) FROM gone g WHERE g.sort_key > k.sort_key) AS above) AS n),
bins AS (
    SELECT i, begin, lead(under, 1, count) OVER (ORDER BY i) - under AS users FROM under, whole),
sums AS (
    SELECT a.board_size - (SELECT count(*) FROM gone) = whole.count AS is_whole FROM a, whole)
SELECT coalesce((SELECT count FROM whole), 0) AS count, scores.*,
       ($7 * CASE WHEN is_whole THEN (SELECT sort_keys_sum FROM a) - (SELECT coalesce(sum(sort_key), 0) FROM gone)
                  WHEN $8 THEN (SELECT sum(sort_key) FROM archive_rows WHERE archive_id = (SELECT id FROM a) AND sort_key BETWEEN $3 AND $4)
                               - (SELECT coalesce(sum(sort_key), 0) FROM gone WHERE sort_key BETWEEN $3 AND $4) END)::text AS sum,
       CASE WHEN is_whole THEN (SELECT squares_sum FROM a) - (SELECT coalesce(sum(sort_key::numeric * sort_key), 0) FROM gone)
       END::text AS squares,
       (SELECT array_agg(sort_key ORDER BY number) FROM percentiles WHERE number > 0) AS percents,
       (SELECT array_agg(begin ORDER BY i) FROM bins) AS begins, (SELECT array_agg(users ORDER BY i) FROM bins) AS counts
FROM scores LEFT JOIN sums ON true;
