-- name: get_open_corrections
-- Whether the ledger holds more than $3 rows of a user in a namespace, and whether it lost some, in each row; and of each grant of theirs of which the
-- last revision that counts is an open dead letter, that revision (granted_at: µs) and the seq of the grant itself. One row,
-- without a grant, where there is none. O(rows that are counted + open dead letters of the partition, $4).
SELECT r.has_many, EXISTS (
    SELECT FROM lost_cells WHERE namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)) AS has_lost_cells, o.*
FROM (
    SELECT count(*) > $3::int AS has_many FROM (
        SELECT FROM ledger
        WHERE partition = $4 AND namespace_id = $1 AND user_number = (SELECT number FROM users WHERE name = $2)
        LIMIT $3::int + 1) AS rows) AS r
LEFT JOIN (
    SELECT DISTINCT ON (a.grant_id) a.grant_id, t.amount, (extract(epoch FROM t.granted_at) * 1000000)::bigint AS granted_at,
           t.windows, t.category, t.source, t.day, t.voided, f.seq AS first_seq
    FROM dead_letters a
    CROSS JOIN LATERAL (
        SELECT * FROM ledger WHERE partition = $4 AND epoch = a.epoch AND seq = a.seq OFFSET 0) AS t
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE partition = $4 AND namespace_id = $1 AND grant_id = a.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS f
    WHERE a.partition = $4 AND a.healed_seq IS NULL AND a.grant_id IS NOT NULL AND t.namespace_id = $1 AND t.amount IS NOT NULL
      AND t.user_number = (SELECT number FROM users WHERE name = $2)
      AND NOT EXISTS (
          SELECT FROM ledger c WHERE c.partition = $4 AND c.namespace_id = $1 AND c.grant_id = a.grant_id
          AND c.kind = 'correction' AND c.revision > t.revision OFFSET 0)
    ORDER BY a.grant_id, t.revision DESC) AS o ON true;

-- fragment: live_of_rows
-- The live grants among rows `l`, but for those of some ids ($3). A duplicate that is not taken
-- back and an open dead letter are one more grant, but for those of some seqs ($5). LIMIT and OFFSET keep each look-up one of
-- the whole key, also while nothing is known yet of how large the ledger is.
    CROSS JOIN LATERAL (
        SELECT coalesce(original_seq, seq) AS seq FROM ledger
        WHERE partition = partition_of($1) AND namespace_id = l.namespace_id AND grant_id = l.grant_id AND revision = 1
          AND kind = CASE WHEN l.kind IN ('duplicate', 'tombstone') THEN l.kind ELSE 'grant' END LIMIT 1) AS f
    WHERE CASE l.kind WHEN 'duplicate' THEN l.seq <> ALL($5::bigint[]) AND NOT EXISTS (
              SELECT FROM ledger h WHERE h.partition = partition_of($1) AND h.namespace_id = l.namespace_id AND h.kind = 'heal'
              AND h.revision = 1 AND h.grant_id = 'heal:' || l.epoch || '-' || l.seq OFFSET 0)
          WHEN 'tombstone' THEN l.revision = 1 AND l.amount IS NOT NULL AND l.seq <> ALL($5::bigint[]) AND EXISTS (
              SELECT FROM dead_letters a WHERE a.partition = l.partition AND a.epoch = l.epoch AND a.seq = l.seq
              AND a.healed_seq IS NULL OFFSET 0)
          ELSE l.grant_id <> ALL($3::text[]) AND NOT EXISTS (
              -- include: later_corrections (row = l, partition = partition_of($1))
              AND ({{seq}}::bigint IS NULL OR coalesce(c.original_seq, c.seq) <= {{seq}}) OFFSET 0) END

-- fragment: cells_of_live
-- What some live grants (`live`) make of each of the cells $4. tie: where the line goes by moments,
-- the place of the score that is made so ($6), else null.
cells AS (
    SELECT unnest(windows) AS cell, * FROM live
    UNION ALL SELECT unnest(windows) || ':' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 'c:' || category, * FROM live WHERE category IS NOT NULL
    UNION ALL SELECT 's:' || source, * FROM live WHERE source IS NOT NULL
    UNION ALL SELECT 'd:' || day, * FROM live WHERE day IS NOT NULL)
SELECT cell, max(amount) AS highest, min(amount) AS lowest,
       (array_agg(amount ORDER BY granted_at DESC, seq DESC))[1] AS latest,
       (extract(epoch FROM max(granted_at)) * 1000000)::bigint AS latest_at,
       (array_agg(seq ORDER BY granted_at DESC, seq DESC))[1] AS latest_seq,
       CASE WHEN $6::text IS NOT NULL
            THEN tie_of(max(tie_key($6, amount, granted_at, seq)) FILTER (WHERE $6 IS NOT NULL)) END AS tie
FROM cells WHERE cell = ANY($4::text[]) GROUP BY cell

-- name: get_cells_of_other_grants
-- What a user's live grants other than some ($3) make of each window and label asked for ($4). $7: as the log stood at a seq,
-- but without what was taken off the boards since; null: as it stands. $5, $6: as the fragments take them.
-- O(the user's grants × log n).
WITH live AS (
    SELECT l.amount, l.granted_at, l.category, l.source, l.windows, l.day, f.seq
    FROM (
        SELECT * FROM ledger
        WHERE partition = partition_of($1) AND namespace_id = $1
          AND user_number = (SELECT number FROM users WHERE name = $2)
          AND kind IN ('grant', 'correction', 'duplicate', 'tombstone') AND NOT voided
          AND ($7::bigint IS NULL OR coalesce(original_seq, seq) <= $7)) AS l
    -- include: live_of_rows (seq = $7)
),
-- include: cells_of_live
;

-- name: get_cells_of_recent_grants
-- Of these the grants that the live grants' own table does not hold: those behind the place up to which the partition ($7)
-- is counted, duplicates and open dead letters. O(rows behind that place + open ones of the partition).
WITH live AS (
    SELECT l.amount, l.granted_at, l.category, l.source, l.windows, l.day, f.seq
    FROM (
        SELECT t.* FROM (
            SELECT p.partition, e.epoch, p.counted_seq FROM partitions p
            CROSS JOIN generate_series(p.counted_epoch, p.epoch) AS e (epoch) WHERE p.partition = $7) AS p
        CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE partition = $7 AND epoch = p.epoch AND seq > p.counted_seq
              AND namespace_id + 0 = $1 AND user_number + 0 = (SELECT number FROM users WHERE name = $2)
              AND kind || '' IN ('grant', 'correction') AND NOT voided OFFSET 0) AS t
        UNION ALL
        SELECT o.* FROM dead_letters a CROSS JOIN LATERAL (
            SELECT * FROM ledger WHERE partition = $7 AND epoch = a.epoch AND seq = a.seq OFFSET 0) AS o
        WHERE a.partition = $7 AND a.healed_seq IS NULL AND o.namespace_id = $1
          AND o.user_number = (SELECT number FROM users WHERE name = $2) AND o.kind IN ('duplicate', 'tombstone')
          AND NOT o.voided) AS l
    -- include: live_of_rows (seq = NULL)
),
-- include: cells_of_live
;

-- fragment: requested_cells
-- The cells asked for, each with what a grant in it has: window, category, source and day, null
-- where any will do, and the moments (µs) that bound it.
    FROM unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::date[], $9::bigint[], $10::bigint[])
        AS w (cell, "window", category, source, day, since, until)
    CROSS JOIN LATERAL (
        SELECT 'epoch'::timestamptz + w.since * interval '1 microsecond' AS since,
               'epoch'::timestamptz + w.until * interval '1 microsecond' AS until OFFSET 0) AS x

-- fragment: live_grants_of_cell
-- A user's ($2) live grants as `live_grants` lists them in a window.
SELECT sort_key, granted_at, first_seq, epoch, seq FROM live_grants
          WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND "window" = {{window}}

-- fragment: grant_of_live
-- The row `l` of a live grant `g` that is in a cell `w`, and still its last revision, but for grants
-- of some ids ($3).
    CROSS JOIN LATERAL (
        SELECT namespace_id, grant_id, revision, amount, windows, category, source, day FROM ledger
        WHERE partition = $12 AND epoch = g.epoch AND seq = g.seq OFFSET 0) AS l
    WHERE
    -- include: in_cell (row = l)
      AND l.grant_id <> ALL($3::text[]) AND NOT EXISTS (
          -- include: later_corrections (row = l, partition = partition_of($1))
          OFFSET 0)

-- name: get_cells_by_amount
-- The best of a user's live grants in each cell, where the aggregation is `best`; a cell is left out where none is among
-- the best $13 of its window. $11: whether the place in line is wanted, that of the earliest among equals.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, b.amount AS highest, b.amount AS lowest, b.amount AS latest,
       (extract(epoch FROM e.granted_at) * 1000000)::bigint AS latest_at, e.first_seq AS latest_seq,
       CASE WHEN $11::text IS NOT NULL THEN tie_place(e.granted_at, e.first_seq) END AS tie
-- include: requested_cells
CROSS JOIN LATERAL (
    SELECT l.amount, g.sort_key, g.granted_at, g.first_seq
    FROM (
          -- include: live_grants_of_cell (window = coalesce(w."window", 'all'))
          ORDER BY sort_key DESC, granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.sort_key DESC, g.granted_at DESC, g.first_seq DESC LIMIT 1) AS b
CROSS JOIN LATERAL (
    SELECT b.granted_at, b.first_seq WHERE $11::text IS NULL
    UNION ALL (
    SELECT g.granted_at, g.first_seq
    FROM (
          -- include: live_grants_of_cell (window = coalesce(w."window", 'all'))
            AND sort_key = b.sort_key AND $11::text IS NOT NULL
          ORDER BY granted_at, first_seq LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.granted_at, g.first_seq LIMIT 1)) AS e;

-- name: get_cells_by_moment
-- The latest of a user's live grants in each cell, where the aggregation is `sum` or `latest`; a cell is left out where none
-- is among the last $13 of its stretch. tie: of a sum ($11) that of the latest grant that is not 0.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, b.amount AS highest, b.amount AS lowest, b.amount AS latest,
       (extract(epoch FROM b.granted_at) * 1000000)::bigint AS latest_at, b.first_seq AS latest_seq,
       CASE WHEN $11::text IS NOT NULL THEN tie_place(t.granted_at, t.first_seq) END AS tie
-- include: requested_cells
CROSS JOIN LATERAL (
    SELECT l.amount, g.granted_at, g.first_seq
    FROM (
          -- include: live_grants_of_cell (window = 'all')
            AND sort_key = 0 AND granted_at >= x.since AND granted_at < x.until
          ORDER BY granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
    ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT 1) AS b
LEFT JOIN LATERAL (
    SELECT g.granted_at, g.first_seq
    FROM (
          -- include: live_grants_of_cell (window = 'all')
            AND sort_key = 0 AND granted_at >= x.since AND granted_at < x.until AND $11::text IS NOT NULL
          ORDER BY granted_at DESC, first_seq DESC LIMIT $13::int) AS g
    -- include: grant_of_live
      AND
      -- include: decides_tie_place (how = $11, amount = l.amount)
    ORDER BY g.granted_at DESC, g.first_seq DESC LIMIT 1) AS t ON true;

-- name: get_latest_moments
-- When the last of a user's live grants in each cell was, where the live grants are not in that order; a cell is left
-- out where none is among the last $11 rows of its stretch. Behind the last hour with live grants none is looked for.
-- O(cells × (log n + what is passed over)).
SELECT w.cell, l.amount AS highest, l.amount AS lowest, l.amount AS latest,
       (extract(epoch FROM l.granted_at) * 1000000)::bigint AS latest_at, 0::bigint AS latest_seq, NULL::numeric AS tie
-- include: requested_cells
CROSS JOIN LATERAL (
    SELECT least(x.until, (
        SELECT max(last.at) + interval '1 hour' FROM (VALUES (1), (4)) AS n (level) CROSS JOIN LATERAL (
            SELECT at FROM user_buckets
            WHERE user_number = (SELECT number FROM users WHERE name = $2) AND namespace_id = $1 AND level = n.level
              AND at < x.until AND grants > 0 ORDER BY at DESC LIMIT 1) AS last)) AS until OFFSET 0) AS h
CROSS JOIN LATERAL (
    SELECT r.amount, r.granted_at
    FROM (SELECT namespace_id, amount, granted_at, seq, kind, voided, windows, category, source, day, grant_id, revision
          FROM ledger
          WHERE partition = partition_of($1) AND namespace_id = $1
            AND user_number = (SELECT number FROM users WHERE name = $2) AND granted_at >= x.since AND granted_at < h.until
          ORDER BY granted_at DESC, seq DESC LIMIT $11::int) AS r
    WHERE r.kind IN ('grant', 'correction') AND NOT r.voided AND
    -- include: in_cell (row = r)
      AND r.grant_id <> ALL($3::text[]) AND NOT EXISTS (
          -- include: later_corrections (row = r, partition = partition_of($1))
          OFFSET 0)
    ORDER BY r.granted_at DESC, r.seq DESC LIMIT 1) AS l;

-- name: get_sparse_cells
-- The same of cells whose grants are few, or lie deep: out of all rows of the stretch of the cells, of which those that come
-- first are looked at until one is live. $11: how scores count; $12: whether places in line are wanted.
-- O(the user's rows in that stretch).
WITH rows AS MATERIALIZED (
    SELECT l.amount, l.granted_at, l.category, l.source, l.windows, l.day, l.grant_id, l.revision,
           l.namespace_id, coalesce(f.first_seq, l.own_seq) AS seq,
           -- include: order_of_amounts (how = $11, amount = l.amount)
           AS sort_key
    FROM (SELECT namespace_id, kind, amount, granted_at, category, source, windows, day, grant_id, revision,
                 coalesce(original_seq, seq) AS own_seq
          FROM grant_revisions
          WHERE partition = partition_of($1) AND namespace_id = $1
            AND user_number = (SELECT number FROM users WHERE name = $2) AND granted_at >= 'epoch'::timestamptz + (SELECT min(since) FROM unnest($9::bigint[]) AS since)
                * interval '1 microsecond'
            AND granted_at < 'epoch'::timestamptz + (SELECT max(until) FROM unnest($10::bigint[]) AS until)
                * interval '1 microsecond'
            AND NOT voided AND grant_id <> ALL($3::text[])
            AND (windows && ARRAY(SELECT "window" FROM unnest($5::text[], $6::text[]) AS c ("window", category)
                                  WHERE category IS NULL AND "window" IS NOT NULL)
                 OR category = ANY($6::text[]) OR source = ANY($7::text[]) OR day = ANY($8::date[]))
          OFFSET 0) AS l
    -- include: grant_itself (row = l, partition = partition_of($1))
)
SELECT w.cell, b.amount AS highest, b.amount AS lowest, m.amount AS latest,
       (extract(epoch FROM m.granted_at) * 1000000)::bigint AS latest_at, m.seq AS latest_seq,
       CASE WHEN $12::boolean THEN
           -- include: tie_place_of_cell (how = $11)
       END AS tie
-- include: requested_cells
CROSS JOIN LATERAL (
    SELECT r.amount, r.granted_at, r.seq
    FROM (SELECT * FROM rows r
          -- include: in_stretch_of_cell
          ORDER BY sort_key DESC, granted_at, seq OFFSET 0) AS r
    -- include: is_current
    LIMIT 1) AS b
CROSS JOIN LATERAL (
    SELECT r.amount, r.granted_at, r.seq
    FROM (SELECT * FROM rows r
          -- include: in_stretch_of_cell
          ORDER BY granted_at DESC, seq DESC OFFSET 0) AS r
    -- include: is_current
    LIMIT 1) AS m
LEFT JOIN LATERAL (
    SELECT tie_place(r.granted_at, r.seq) AS place
    FROM (SELECT * FROM rows r
          -- include: in_stretch_of_cell
            AND $12::boolean AND
            -- include: decides_tie_place_of_sum (how = $11, amount = r.amount)
          ORDER BY granted_at DESC, seq DESC OFFSET 0) AS r
    -- include: is_current
    LIMIT 1) AS t ON true;

-- fragment: in_cell
-- That a row is in a requested cell `w`.
    (w."window" IS NULL OR {{row}}.windows @> ARRAY[w."window"]) AND (w.category IS NULL OR {{row}}.category = w.category)
      AND (w.source IS NULL OR {{row}}.source = w.source) AND (w.day IS NULL OR {{row}}.day = w.day)

-- fragment: in_stretch_of_cell
-- The condition that a row `r` is in a requested cell `w`, and between its moments.
          WHERE r.granted_at >= x.since AND r.granted_at < x.until AND
          -- include: in_cell (row = r)

-- fragment: is_current
-- The condition that a row `r` is the current revision of its grant.
    WHERE NOT EXISTS (
        -- include: later_corrections (row = r, partition = partition_of($1))
        OFFSET 0)
