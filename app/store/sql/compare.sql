-- name: create_compare_tables
-- What a comparison collects: scores here by user number, the lines of the other system, and the users of either.
CREATE TEMP TABLE IF NOT EXISTS compare_ours (user_number bigint, score numeric);
CREATE TEMP TABLE IF NOT EXISTS compare_legacy (line bigint, name text COLLATE "C", score numeric);
CREATE TEMP TABLE IF NOT EXISTS compare_users (
    name text COLLATE "C", ours numeric, legacy numeric, our_rank bigint, legacy_rank bigint
);

-- name: fill_compare_users
-- Brings both sides together, by name. Of several lines about one user the last counts. Ranks are among the users of both
-- sides. $1: 1, or -1 where the lowest is the best. Erased users have no name to compare by. O(n log n).
INSERT INTO compare_users
SELECT name, ours, legacy,
       CASE WHEN is_common THEN rank() OVER (PARTITION BY is_common ORDER BY $1::int * ours DESC) END,
       CASE WHEN is_common THEN rank() OVER (PARTITION BY is_common ORDER BY $1::int * legacy DESC) END
FROM (
    SELECT coalesce(o.name, l.name) AS name, o.score AS ours, l.score AS legacy, o.name IS NOT NULL AND l.name IS NOT NULL AS is_common
    FROM (SELECT u.name COLLATE "C" AS name, s.score FROM compare_ours s
          CROSS JOIN LATERAL (SELECT name FROM users WHERE number = s.user_number LIMIT 1) AS u
          WHERE NOT starts_with(u.name, E'\x01')) AS o
    FULL JOIN (SELECT DISTINCT ON (name) name, score FROM compare_legacy ORDER BY name, line DESC) AS l ON l.name = o.name) AS u;

-- fragment: score_difference
-- The difference of a user's scores, ours less the other one; who is missing on a side has 0 there.
(coalesce(ours, 0) - coalesce(legacy, 0))

-- name: get_compare_figures
-- The figures of a comparison. $1: the difference that is let pass; $2: how many make a top. conflicting: users of whom the
-- other system has different scores; repeated: lines that say again what another one says.
SELECT count(ours) AS users_here, count(legacy) AS users_there, count(*) FILTER (WHERE ours = legacy) AS equal,
       count(*) FILTER (WHERE ours <> legacy) AS differing, count(*) FILTER (WHERE ours IS NULL) AS missing_here,
       count(*) FILTER (WHERE legacy IS NULL) AS missing_there,
       count(*) FILTER (WHERE abs(
           -- include: score_difference
           ) > $1::numeric) AS beyond,
       coalesce(max(abs(
           -- include: score_difference
           )), 0) AS largest_difference,
       coalesce(sum(ours), 0) AS sum_here, coalesce(sum(legacy), 0) AS sum_there,
       count(*) FILTER (WHERE our_rank <> legacy_rank) AS rank_differences,
       coalesce(max(abs(our_rank - legacy_rank)), 0) AS largest_rank_difference,
       count(*) FILTER (WHERE our_rank <= $2::bigint AND legacy_rank <= $2) AS in_both_tops,
       (SELECT count(*) FROM (SELECT FROM compare_legacy GROUP BY name HAVING count(DISTINCT score) > 1) AS c) AS conflicting,
       (SELECT count(*) - count(DISTINCT (name, score)) FROM compare_legacy) AS repeated
FROM compare_users;

-- name: get_compare_tops
-- Users who stand in the top ($1) of either side, with both ranks, at most $2 of them.
SELECT name, our_rank, legacy_rank FROM compare_users WHERE our_rank <= $1::bigint OR legacy_rank <= $1
ORDER BY legacy_rank, our_rank, name LIMIT $2;

-- name: get_compare_differences
-- Some users ($1) of both sides whose scores differ, the largest difference first.
SELECT name, ours, legacy, our_rank, legacy_rank FROM compare_users WHERE ours <> legacy
ORDER BY abs(ours - legacy) DESC, name LIMIT $1;

-- name: get_compare_missing
-- Some users ($2) who are missing here ($1), or else in the other system, the greatest score first.
SELECT name, coalesce(ours, legacy) AS score FROM compare_users WHERE CASE WHEN $1::boolean THEN ours IS NULL ELSE legacy IS NULL END
ORDER BY abs(coalesce(ours, legacy)) DESC, name LIMIT $2;

-- name: get_compare_conflicts
-- Some users ($1) of whom the other system has different scores: the lines, and the lowest and highest score.
SELECT name, array_agg(line ORDER BY line) AS lines, min(score) AS lowest, max(score) AS highest
FROM compare_legacy GROUP BY name HAVING count(DISTINCT score) > 1 ORDER BY name LIMIT $1;

-- name: get_compare_histogram
-- How many users differ by how much: the sign, and the power of ten that the difference reaches.
SELECT sign(difference)::int AS sign, floor(log(abs(difference)))::int AS power, count(*) AS users
FROM (SELECT
      -- include: score_difference
      AS difference FROM compare_users) AS d
WHERE difference <> 0 GROUP BY 1, 2 ORDER BY 1, 2;

-- name: record_comparison
-- Keeps what a comparison found, without names of users, and its event; no row where the namespace was deleted meanwhile. The
-- lock makes it wait for a cut-over that goes by the comparison before. O(log n).
WITH locked AS MATERIALIZED (SELECT id FROM namespaces WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE),
recorded AS (
    INSERT INTO comparisons (namespace_id, "window", category, source, as_of, partition, epoch, seq, max_diff,
                             largest_difference, findings, figures)
    SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::json FROM locked RETURNING *),
event AS (
    INSERT INTO audit (namespace_id, type, actor, body)
    SELECT namespace_id, 'compared', $13, json_build_object(
               'comparison', id, 'window', "window", 'category', category, 'as_of', as_of, 'differences',
               -- include: comparison_differences
               , 'largest_difference', largest_difference, 'max_diff', max_diff)
    FROM recorded)
SELECT id, compared_at FROM recorded;

-- fragment: comparison_differences
-- Users whose scores differ, or who are missing on a side, of a row of `comparisons`.
(figures ->> 'differing')::bigint + (figures ->> 'missing_here')::bigint + (figures ->> 'missing_there')::bigint

-- name: get_latest_comparison
-- The latest comparison of a namespace's board of all time that was made as of a moment, and how many seconds ago. unclear:
-- users and lines of which the other system's score is not known; common_users: those of both sides. O(log n + comparisons of other boards since).
SELECT id, compared_at, as_of, epoch, seq, max_diff, largest_difference, findings,
       (figures ->> 'conflicting')::bigint + (figures ->> 'unreadable')::bigint AS unclear,
       (figures ->> 'equal')::bigint + (figures ->> 'differing')::bigint AS common_users,
       extract(epoch FROM clock_timestamp() - compared_at)::float8 AS age_s,
       extract(epoch FROM clock_timestamp() - as_of)::float8 AS dump_age_s
FROM comparisons WHERE namespace_id = $1 AND "window" = 'all' AND category IS NULL AND as_of IS NOT NULL
ORDER BY compared_at DESC LIMIT 1;

-- name: record_cutover
-- Writes an event of a cut-over ($2), in the transaction that changes the mode.
INSERT INTO audit (namespace_id, type, actor, body) VALUES ($1, $2, $3, $4::json);

-- name: get_last_cutover
-- The last event of a namespace's cut-overs, forth or back. O(log n).
SELECT type, at, (body ->> 'epoch')::int AS epoch, (body ->> 'seq')::bigint AS seq FROM (
    (SELECT id, type, at, body FROM audit WHERE namespace_id = $1 AND type = 'cut_over' ORDER BY id DESC LIMIT 1)
    UNION ALL
    (SELECT id, type, at, body FROM audit WHERE namespace_id = $1 AND type = 'cut_back' ORDER BY id DESC LIMIT 1)) AS a
ORDER BY id DESC LIMIT 1;

-- name: get_move
-- How far the move of a namespace is: whether something is imported, its last comparison, its last cut-over and the last one
-- that was undone. O(log n + comparisons of other boards since).
SELECT EXISTS (
    SELECT FROM import_leases WHERE namespace_id = $1 AND
    -- include: lease_holds
    ) AS is_importing,
       c.compared_at, c.as_of, c.differences, c.largest_difference,
       o.at AS cut_over_at, o.actor AS cut_over_by, (o.body ->> 'epoch')::int AS cut_over_epoch,
       (o.body ->> 'seq')::bigint AS cut_over_seq, b.at AS cut_back_at, b.actor AS cut_back_by
FROM (SELECT $1::int AS id) AS n
LEFT JOIN LATERAL (
    SELECT compared_at, as_of, largest_difference,
           -- include: comparison_differences
           AS differences
    FROM comparisons WHERE namespace_id = $1 AND "window" = 'all' AND category IS NULL AND as_of IS NOT NULL
    ORDER BY compared_at DESC LIMIT 1) AS c ON true
LEFT JOIN LATERAL (SELECT * FROM audit WHERE namespace_id = $1 AND type = 'cut_over' ORDER BY id DESC LIMIT 1) AS o ON true
LEFT JOIN LATERAL (SELECT * FROM audit WHERE namespace_id = $1 AND type = 'cut_back' ORDER BY id DESC LIMIT 1) AS b ON true;
