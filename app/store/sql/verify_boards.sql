-- name: get_board_totals
-- What the `all` board of a namespace should hold: count and sums of the users who are shown, as far as the ledger has come
-- (seq). Also what changed after an earlier seq ($3): rows, change, change of the squares. is_near is false where $4 entries
-- or more came since, and then the changes are not counted. It is one statement so that all numbers are of one moment.
-- O(the namespace's users + entries since).
WITH head AS MATERIALIZED (SELECT epoch, seq FROM partitions WHERE partition = $1),
whole AS (
    SELECT count(*) FILTER (WHERE grants > 0) AS users, coalesce(sum(score), 0)::text AS scores,
           coalesce(sum(score::numeric * score), 0)::text AS squares
    FROM standings s WHERE namespace_id = $2
    AND NOT EXISTS (SELECT FROM hidden_users h WHERE h.user_number = s.user_number AND h.namespace_id IN (0, $2))),
tail AS (
    SELECT count(*) AS rows, coalesce(sum(score_delta), 0)::text AS score_delta,
           coalesce(sum(coalesce(score, 0)::numeric ^ 2 - (coalesce(score, 0) - score_delta)::numeric ^ 2), 0)::numeric(60)::text AS squares
    FROM head CROSS JOIN generate_series(0, head.epoch) AS e (epoch) CROSS JOIN LATERAL (
        SELECT score_delta, score, user_number FROM ledger l
        WHERE l.partition = $1 AND l.epoch = e.epoch AND l.seq > $3 AND l.seq <= head.seq AND l.namespace_id + 0 = $2
          AND l.user_number IS NOT NULL AND head.seq - $3 < $4::bigint OFFSET 0) AS l
    WHERE NOT EXISTS (SELECT FROM hidden_users h WHERE h.user_number = l.user_number AND h.namespace_id IN (0, $2)))
SELECT head.seq, whole.users, whole.scores, whole.squares, head.seq - $3 < $4 AS is_near,
       tail.rows AS later, tail.score_delta AS later_scores, tail.squares AS later_squares
FROM head, whole, tail;

-- name: count_quota_users
-- How many users the quota of a namespace counts as of a seq ($2), by the ledger: those with an applied entry, except the
-- users $3. A grant in quarantine is not applied, whether it is recorded or a dead letter; what settles such a letter is.
-- O(users × log).
SELECT count(*) AS users FROM standings s
WHERE s.namespace_id = $1 AND s.user_number <> ALL($3::bigint[]) AND EXISTS (
    SELECT FROM ledger l
    WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND l.user_number = s.user_number AND l.seq <= $2
    AND (l.verb IS DISTINCT FROM 'quarantine' OR l.original_seq IS NOT NULL)
    AND NOT (l.kind = 'tombstone' AND l.voided AND l.live_delta = 0) OFFSET 0);

-- name: count_users_by_namespace
-- How many users have an entry in each namespace.
SELECT n.id, count(s.user_number) AS users FROM namespaces n
LEFT JOIN standings s ON s.namespace_id = n.id WHERE n.deleted_at IS NULL GROUP BY n.id;

-- name: get_users_of_namespace
-- The users who have an entry in a namespace, erased users among them.
SELECT s.user_number AS number, u.name FROM standings s JOIN users u ON u.number = s.user_number
WHERE s.namespace_id = $1;

-- name: find_known_users
-- Which of some names ($2) have an entry in a namespace. O(log n) each.
SELECT x.name FROM (SELECT DISTINCT unnest($2::text[]) AS name) AS x
WHERE EXISTS (
    SELECT FROM standings WHERE user_number = (SELECT number FROM users WHERE name = x.name)
    AND namespace_id = $1 OFFSET 0);

-- name: get_visibility_of_namespace
-- Who is or was off the boards of a namespace ($3), by its own wish or that of the deployment, and whether what was wished
-- for last is still open in its partition: of some, or of all.
SELECT user_number AS number, i.name, i.version, i.desired_state, coalesce($1::smallint = ANY(i.pending_partitions), false) AS is_pending,
       coalesce(h.erased, false) AS erased
FROM visibility_intents i FULL JOIN hidden_users h USING (user_number, namespace_id)
WHERE namespace_id IN (0, $3::int) AND ($2::bigint[] IS NULL OR user_number = ANY($2)) ORDER BY 1, namespace_id;

-- name: count_user_rows
-- How many rows some users have in a namespace, $3 of all of them together at most; those without any are left out.
-- O(rows told).
SELECT number, count(*) AS rows
FROM (SELECT x.number FROM unnest($2::bigint[]) AS x (number)
      CROSS JOIN LATERAL (
          SELECT FROM ledger WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number OFFSET 0) AS l
      LIMIT $3) AS counted
GROUP BY number;

-- name: get_score_events
-- What each entry of some users put onto boards and took off them, each up to a seq, in the order of the log: of an entry
-- also what its grant had put there before (`old_…`). granted_at: microseconds. A dead letter that was recorded after all stands at its own place.
-- One that was taken off the boards, and a duplicate, count from their own place to that of the entry that took them off:
-- it leaves the grant as the last of its other revisions had it, and does nothing where a later one counts. A duplicate, or a
-- grant that was taken off, is a grant of its own: its name begins with a tab, which no client's grant_id does.
-- $4: a window, or null; behind its seal no dead letter and no duplicate counts there. $5: whether those that are still open
-- count, as the boards in Redis count them.
-- O(those users' entries × log + the namespace's dead letters and duplicates).
WITH x AS MATERIALIZED (SELECT * FROM unnest($2::bigint[], $3::bigint[]) AS x (number, seq)),
dropped AS MATERIALIZED (
    SELECT x.number, l.seq, l.revision, l.windows, l.category, l.granted_at, l.amount, l.voided, a.healed_seq,
           coalesce(a.grant_id, E'\t' || l.epoch || '-' || l.seq) AS grant_id
    FROM ledger l JOIN x ON x.number = l.user_number
    CROSS JOIN LATERAL (
        SELECT healed_seq, grant_id FROM dead_letters
        WHERE partition = l.partition AND epoch = l.epoch AND seq = l.seq
          AND (healed_seq > seq AND healed_seq <= x.seq AND (reason = 'duplicate' OR decision = 'drop')
               OR healed_seq IS NULL AND $5::boolean AND seq <= x.seq) OFFSET 0) AS a
    WHERE l.partition = partition_of($1) AND l.namespace_id = $1 AND coalesce(l.verb, l.kind) IN ('duplicate', 'tombstone')
      AND l.amount IS NOT NULL
      AND NOT EXISTS (SELECT FROM seals WHERE namespace_id = $1 AND "window" = $4::text AND seq < l.seq OFFSET 0)),
taken_off AS MATERIALIZED (
    SELECT d.number, d.healed_seq AS seq, d.grant_id, r.windows, r.category, r.granted_at, r.amount,
           coalesce(r.voided, true) AS voided
    FROM dropped d LEFT JOIN LATERAL (
        SELECT * FROM (
            SELECT coalesce(original_seq, seq) AS seq, revision, windows, category, granted_at, amount, voided FROM ledger
            WHERE partition = partition_of($1) AND namespace_id = $1 AND grant_id = d.grant_id AND kind IN ('grant', 'correction')
              AND coalesce(original_seq, seq) < d.healed_seq
            UNION ALL
            SELECT seq, revision, windows, category, granted_at, amount, voided FROM dropped o
            WHERE o.grant_id = d.grant_id AND o.seq < d.healed_seq AND coalesce(o.healed_seq > d.healed_seq, true)) AS counted
        ORDER BY revision DESC, seq DESC LIMIT 1) AS r ON true
    WHERE d.healed_seq IS NOT NULL AND (r.revision IS NULL OR (r.revision, r.seq) < (d.revision, d.seq)))
SELECT x.number, l.seq, l.grant_id, l.first_seq, l.windows, l.category, l.amount, l.voided,
       (extract(epoch FROM l.granted_at) * 1000000)::bigint AS granted_at,
       l.old_windows, l.old_category, l.old_amount, l.old_voided
FROM x CROSS JOIN LATERAL (
    SELECT *, min(seq) OVER (PARTITION BY grant_id) AS first_seq,
           lag(windows) OVER w AS old_windows, lag(category) OVER w AS old_category, lag(amount) OVER w AS old_amount,
           lag(voided) OVER w AS old_voided
    FROM (SELECT coalesce(original_seq, seq) AS seq, grant_id, windows, category, granted_at, amount, voided FROM ledger
          WHERE partition = partition_of($1) AND namespace_id = $1 AND user_number = x.number
            AND kind IN ('grant', 'correction') AND coalesce(original_seq, seq) <= x.seq
          UNION ALL
          SELECT seq, grant_id, windows, category, granted_at, amount, voided FROM dropped WHERE number = x.number
          UNION ALL
          SELECT seq, grant_id, windows, category, granted_at, amount, voided FROM taken_off WHERE number = x.number) AS named
    WINDOW w AS (PARTITION BY grant_id ORDER BY seq)) AS l
ORDER BY x.number, l.seq;
