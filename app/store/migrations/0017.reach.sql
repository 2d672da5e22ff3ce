-- depends: 0016.dropped

-- How far ahead a grant of a namespace may lie, in microseconds since 1970, by all rules that it had before its present ones.
ALTER TABLE namespaces ADD COLUMN reach bigint NOT NULL DEFAULT 0;
UPDATE namespaces n SET reach = l.reach FROM (
    SELECT namespace_id, (extract(epoch FROM max(granted_at)) * 1000000)::bigint AS reach FROM ledger GROUP BY 1) AS l
WHERE l.namespace_id = n.id;
