-- name: get_names_of_users
-- Number and name of some users, by number. O(them × log n).
SELECT number, name FROM users WHERE number = ANY($1::bigint[]) ORDER BY number;

-- name: get_kinds_of_users
-- Windows and categories in which an entry of some users of a namespace lies, up to a seq ($3). O(their entries × log n).
SELECT DISTINCT x.number, l.windows, l.category FROM unnest($2::bigint[]) AS x (number) CROSS JOIN LATERAL (
    SELECT windows, category FROM ledger
    WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number AND seq <= $3 OFFSET 0) AS l;

-- name: get_users_since
-- The users of a namespace ($4) who have an entry behind a place of a partition ($2, $3), by number. O(entries behind it).
SELECT DISTINCT user_number AS number FROM ledger
WHERE partition = $1 AND (epoch, seq) > ($2, $3) AND namespace_id + 0 = $4 AND user_number IS NOT NULL ORDER BY number;

-- name: get_namespaces_since
-- The namespaces that have an entry behind a place of a partition, each with how many users these are of, and whether one of
-- them erases a user, who stands under a name in Redis that nobody knows any more. O(entries behind it).
SELECT namespace_id, count(DISTINCT user_number) AS users, bool_or(kind = 'erase') AS has_erasure FROM ledger
WHERE partition = $1 AND (epoch, seq) > ($2, $3) GROUP BY namespace_id;

-- name: get_digests
-- The content digests of entries at some places of a partition: epochs ($2) and seqs ($3). O(them × log n).
SELECT l.epoch, l.seq, l.digest FROM unnest($2::int[], $3::bigint[]) AS x (epoch, seq)
JOIN ledger l ON l.partition = $1 AND l.epoch = x.epoch AND l.seq = x.seq;

-- name: get_entries_before
-- The last entries of a partition before a place ($2, $3), the latest first, $4 at most: their names and digests, when they were
-- recorded (microseconds), and whether that is the moment of a dead letter that was recorded later. O(them).
SELECT epoch, seq, namespace_id, kind, grant_id, digest, (extract(epoch FROM recorded_at) * 1000000)::bigint AS recorded_at,
       original_seq IS NOT NULL AS is_recorded_late
FROM ledger WHERE partition = $1 AND (epoch, seq) < ($2, $3) ORDER BY epoch DESC, seq DESC LIMIT $4;

-- name: get_windows_archived_since
-- Windows of the namespaces of a partition that were archived after a moment ($2), in microseconds.
SELECT s.namespace_id, s."window" FROM seals s JOIN namespaces n ON n.id = s.namespace_id
WHERE n.partition = $1 AND n.deleted_at IS NULL AND (extract(epoch FROM s.archived_at) * 1000000)::bigint > $2;

-- name: drop_again
-- Namespaces of a partition that were dropped after a moment ($2), in microseconds, are to be dropped once more.
UPDATE namespaces SET dropped_at = NULL
WHERE partition = $1 AND deleted_at IS NOT NULL AND (extract(epoch FROM dropped_at) * 1000000)::bigint > $2;

-- name: count_users_of_namespaces
-- How many users have an entry in some namespaces of a partition, or in all of them ($2 null). O(them).
SELECT count(*) AS users FROM namespaces n CROSS JOIN LATERAL (
    SELECT FROM standings WHERE namespace_id = n.id OFFSET 0) AS s
WHERE n.partition = $1 AND n.deleted_at IS NULL AND coalesce(n.id = ANY($2::int[]), true);

-- name: get_places_of_grants
-- Where the ledger holds some grants, by namespace and grant_id, and the digests of their contents. O(log n) each.
SELECT x.namespace_id, x.grant_id, l.epoch, l.seq, l.digest
FROM unnest($1::int[], $2::text[]) AS x (namespace_id, grant_id) JOIN LATERAL (
    SELECT epoch, seq, digest FROM ledger
    WHERE partition = partition_of(x.namespace_id) AND namespace_id = x.namespace_id AND grant_id = x.grant_id
      AND revision = 1 AND kind = 'grant' OFFSET 0) AS l ON true;

-- name: get_places_of_corrections
-- Where the ledger holds some corrections, by namespace, grant_id and revision. O(log n) each.
SELECT l.epoch, l.seq FROM unnest($1::int[], $2::text[], $3::int[]) AS x (namespace_id, grant_id, revision) JOIN LATERAL (
    SELECT epoch, seq FROM ledger
    WHERE partition = partition_of(x.namespace_id) AND namespace_id = x.namespace_id AND grant_id = x.grant_id AND revision = x.revision AND kind = 'correction' OFFSET 0) AS l ON true;

-- name: has_erasures_since
-- Whether a user was erased in a partition since a moment ($2), in microseconds. O(entries since then).
SELECT EXISTS (
    SELECT FROM ledger WHERE partition = $1 AND recorded_at >= to_timestamp($2::bigint / 1000000) AND kind = 'erase') AS has_erasures;

-- name: record_fates
-- Writes an event for each of some entries that came back, or cannot: namespace, type and body.
WITH locked AS MATERIALIZED (
    SELECT id FROM namespaces WHERE id = ANY($1::int[]) ORDER BY id FOR NO KEY UPDATE)
INSERT INTO audit (namespace_id, type, body)
SELECT x.namespace_id, x.type, x.body::json
FROM unnest($1::int[], $2::text[], $3::text[]) AS x (namespace_id, type, body) JOIN locked ON locked.id = x.namespace_id;

-- name: record_loss
-- Writes an event of a loss in each namespace of a partition ($1) that is not deleted.
WITH locked AS MATERIALIZED (
    SELECT id FROM namespaces WHERE partition = $1 AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE)
INSERT INTO audit (namespace_id, type, body) SELECT id, 'lost', $2::text::json FROM locked;

-- name: get_scores_around
-- The scores of some users of a namespace on the `all` board on both sides of a gap in the ledger ($3 to $4): of the last row
-- before it, and before the first one behind it; has_after: whether there is one; is_recorded: whether a row of the kind
-- `loss` tells the change between them. O(their rows × log n).
SELECT x.number, r.score_before, r.score_after, r.has_after, r.is_recorded FROM unnest($2::bigint[]) AS x (number)
CROSS JOIN LATERAL (
    SELECT (array_agg(score ORDER BY seq DESC) FILTER (WHERE seq < $3))[1] AS score_before,
           (array_agg(coalesce(score, 0) - score_delta ORDER BY seq) FILTER (WHERE seq > $4 AND kind <> 'loss'))[1] AS score_after,
           coalesce(bool_or(seq > $4 AND kind <> 'loss'), false) AS has_after,
           coalesce(bool_or(seq > $4 AND kind = 'loss'), false) AS is_recorded
    FROM ledger WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number) AS r;

-- name: create_redis_users
-- The users whom a scan of Redis found, by namespace.
CREATE TEMP TABLE redis_users (namespace_id integer, name text COLLATE "C", PRIMARY KEY (namespace_id, name));

-- name: add_redis_users
-- Adds users ($2) of namespaces ($1); a scan may name one twice.
INSERT INTO redis_users SELECT * FROM unnest($1::int[], $2::text[]) ON CONFLICT DO NOTHING;

-- name: get_redis_users
-- Those of a namespace behind a name ($2), in order, $3 at most. O(them × log n).
SELECT name FROM redis_users WHERE namespace_id = $1 AND name > $2 ORDER BY name LIMIT $3;
