-- depends: 0022.changed_namespaces

-- The grants that count, as the last revision left each, in the order in which a page of them is read. Kept with the counts
-- by time: as of partitions.counted_seq. first_seq: the seq of the entry that granted it; epoch and seq: the place of its
-- revision.
-- "window" and key: 'all' and 0 where the aggregation is `sum` or `latest`; where it is `best` one row a window of the grant,
-- and the amount, negated where the lowest is the best: the best of a window is the last of its rows.
CREATE TABLE live_grants (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    key bigint NOT NULL,
    granted_at timestamptz NOT NULL,
    first_seq bigint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (user_number, namespace_id, "window", key, granted_at, first_seq)
);

-- What the counts by time hold already.
INSERT INTO live_grants (user_number, namespace_id, "window", key, granted_at, first_seq, epoch, seq)
SELECT l.user_number, l.namespace_id, w.name,
       CASE WHEN n.rules ->> 'aggregation' = 'best' THEN CASE n.rules ->> 'order' WHEN 'asc' THEN -l.value ELSE l.value END
            ELSE 0 END,
       l.granted_at, coalesce(f.original_seq, f.seq), l.epoch, l.seq
FROM ledger l
JOIN namespaces n ON n.id = l.namespace_id
JOIN partitions p ON p.partition = l.partition
JOIN ledger f ON f.namespace_id = l.namespace_id AND f.grant_id = l.grant_id AND f.revision = 1 AND f.kind = 'grant'
CROSS JOIN LATERAL unnest(CASE WHEN n.rules ->> 'aggregation' = 'best' THEN l.windows ELSE '{all}' END) AS w (name)
WHERE l.kind IN ('grant', 'correction') AND NOT l.voided AND l.seq <= p.counted_seq AND NOT EXISTS (
    SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id
    AND c.kind = 'correction' AND c.revision > l.revision AND c.seq <= p.counted_seq);
