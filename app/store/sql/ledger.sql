-- fragment: spans_of_new_rows
-- Where the ledger's new rows are: of each partition `p` behind the first place (epoch, seq), up to the last.
FROM unnest($1::smallint[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS x (p, epoch, seq, last_epoch, last_seq)

-- fragment: new_rows
-- The condition that a row is one of the new rows of a span `x`. The planner opens the tables of these partitions alone.
    WHERE partition = x.p AND partition = ANY($1) AND (epoch, seq) > (x.epoch, x.seq) AND (epoch, seq) <= (x.last_epoch, x.last_seq)

-- name: create_users
-- Gives a number to each name that has none.
INSERT INTO users (name) SELECT unnest($1::text[]) ON CONFLICT (name) DO NOTHING;

-- name: get_user_numbers
-- The numbers of some users, by name.
SELECT name, number FROM users WHERE name = ANY($1::text[]);

-- name: add_standings
-- What the ledger's own new rows add to the standings: of each partition those behind the first place, up to the last.
-- Not MERGE, which is a sixth cheaper but leaves it to the planner by which index it meets the standings.
-- Tells who has their first entry in a namespace by it.
WITH added AS (
INSERT INTO standings AS s (namespace_id, user_number, score, grants, last_granted_at)
SELECT l.namespace_id, l.user_number, sum(l.score_delta)::bigint, sum(l.live_delta), max(l.granted_at)
-- include: spans_of_new_rows
CROSS JOIN LATERAL (
    SELECT namespace_id, user_number, score_delta, live_delta, granted_at FROM ledger
    -- include: new_rows
      AND user_number IS NOT NULL) AS l
GROUP BY l.user_number, l.namespace_id
ORDER BY l.user_number, l.namespace_id
ON CONFLICT (user_number, namespace_id) DO UPDATE
SET score = s.score + excluded.score, grants = s.grants + excluded.grants,
    last_granted_at = greatest(s.last_granted_at, excluded.last_granted_at)
RETURNING s.namespace_id, s.user_number, s.xmax = 0 AS is_new)
SELECT namespace_id, user_number FROM added WHERE is_new;

-- name: record_registrations
-- Writes an event for each user who got their first entry in a namespace.
INSERT INTO audit (namespace_id, type, body)
SELECT namespace_id, 'user_registered', json_build_object('user_number', user_number)
FROM unnest($1::int[], $2::bigint[]) AS x (namespace_id, user_number);

-- name: record_batches
-- Writes an event for each batch that was applied.
INSERT INTO audit (namespace_id, type, actor, body)
SELECT namespace_id, 'batch_applied', actor, json_build_object(
    'batch', batch, 'grants', grants, 'change', score_delta, 'first_seq', first_seq, 'last_seq', last_seq)
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
     AS x (namespace_id, batch, actor, grants, score_delta, first_seq, last_seq);

-- name: open_seasons
-- Seasons of some partitions' namespaces that have begun by a moment ($2), each once, in the order in which they did; also one that is over
-- by now, if nobody was there to tell.
WITH due AS (
    SELECT n.id, s ->> 'name' AS season, s FROM namespaces n CROSS JOIN LATERAL jsonb_array_elements(n.rules -> 'seasons') AS s
    WHERE n.partition = ANY($1::smallint[]) AND n.deleted_at IS NULL AND n.rules -> 'seasons' <> '[]'
      AND (s ->> 'starts')::timestamptz <= $2
      AND NOT EXISTS (SELECT FROM opened_seasons o WHERE o.namespace_id = n.id AND o.season = s ->> 'name')
    ORDER BY n.id FOR NO KEY UPDATE OF n),
opened AS (INSERT INTO opened_seasons SELECT id, season FROM due ON CONFLICT DO NOTHING RETURNING namespace_id, season)
INSERT INTO audit (namespace_id, type, body)
SELECT d.id, 'season_opened', json_build_object('season', d.season, 'starts', d.s -> 'starts', 'ends', d.s -> 'ends')
FROM due d JOIN opened o ON o.namespace_id = d.id AND o.season = d.season
ORDER BY (d.s ->> 'starts')::timestamptz, d.id, d.season;
