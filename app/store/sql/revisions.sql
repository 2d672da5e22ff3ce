-- fragment: later_corrections
-- The corrections `c` of the grant of a row that made later revisions. A row without any is its grant's current revision. A
-- bound may follow: the seq up to which they are looked for. O(log n); OFFSET 0 behind it keeps it one look-up of the whole key.
-- partition: here and below what names the ledger's table, `ANY(…)` where there are some; the planner opens no other.
SELECT FROM ledger c WHERE c.partition = {{partition}} AND c.namespace_id = {{row}}.namespace_id AND c.grant_id = {{row}}.grant_id
    AND c.kind = 'correction' AND c.revision > {{row}}.revision

-- fragment: grant_itself
-- The grant `f` of a row that may be a correction; nulls where the row is the grant itself. first_seq: its place in the log.
-- O(log n): LIMIT keeps it one look-up of the whole key.
LEFT JOIN LATERAL (
    SELECT epoch, seq, coalesce(original_seq, seq) AS first_seq FROM ledger
    WHERE {{row}}.kind = 'correction' AND partition = {{partition}} AND namespace_id = {{row}}.namespace_id
      AND grant_id = {{row}}.grant_id AND revision = 1 AND kind = 'grant' LIMIT 1) AS f ON true

-- fragment: grant_of_correction
-- The grant `f` of a row: the row itself, or the grant that it corrects. O(log n).
CROSS JOIN LATERAL (
    SELECT recorded_at, coalesce(original_seq, seq) AS first_seq FROM ledger
    WHERE partition = {{partition}} AND namespace_id = {{row}}.namespace_id AND grant_id = {{row}}.grant_id AND revision = 1
      AND kind = 'grant' LIMIT 1) AS f

-- fragment: has_open_letter
-- Whether a correction of the grant of a row is an open dead letter, whichever revision it made. O(log n): there are few.
EXISTS (
    SELECT FROM dead_letters a
    WHERE a.partition = {{row}}.partition AND a.grant_id = {{row}}.grant_id AND a.healed_seq IS NULL
      AND a.namespace_id = {{row}}.namespace_id OFFSET 0) AS has_open_letter

-- fragment: revision_at
-- The revision `r` of the grant of a row that was current at a seq. O(log n).
CROSS JOIN LATERAL (
    SELECT amount, voided, opening FROM grant_revisions
    WHERE partition = {{partition}} AND namespace_id = {{row}}.namespace_id AND grant_id = {{row}}.grant_id AND seq <= {{seq}}
    ORDER BY revision DESC LIMIT 1) AS r

-- fragment: revisions_of_namespace
-- All revisions of the grants of a namespace, as far as a condition holds, by the index of events: without + 0 and || '' a
-- plan may look each up by another one. O(the namespace's grants).
SELECT * FROM ledger
            WHERE partition = partition_of($1) AND namespace_id = $1 AND kind || '' IN ('grant', 'correction') AND ({{condition}})
            ORDER BY coalesce(verb, kind), seq OFFSET 0

-- fragment: replaced_revision
-- The revision `b` that a correction `c` replaced: the greatest one below its own that was recorded before. The next one below
-- may be a dead letter that was dropped or is not retried yet. O(log n).
CROSS JOIN LATERAL (
    SELECT user_number, granted_at, amount, windows, voided, opening FROM grant_revisions
    WHERE partition = ANY($1) AND namespace_id = c.namespace_id AND grant_id = c.grant_id AND revision < c.revision
      AND seq < c.seq
    ORDER BY revision DESC LIMIT 1) AS b

-- fragment: replaced_by_row
-- The same of a row `l`; nulls where the row is no correction.
LEFT JOIN LATERAL (
    SELECT amount, windows FROM grant_revisions
    WHERE l.kind = 'correction' AND partition = {{partition}} AND namespace_id = l.namespace_id AND grant_id = l.grant_id
      AND revision < l.revision AND seq < l.seq ORDER BY revision DESC LIMIT 1) AS b ON true

-- fragment: is_no_later_one_counted
-- The condition that a correction `c` changed something. A dead letter may be recorded behind a later revision of its grant;
-- then it changes nothing.
AND (c.original_seq IS NULL OR NOT EXISTS (
    SELECT FROM ledger n WHERE n.partition = ANY($1) AND n.namespace_id = c.namespace_id AND n.grant_id = c.grant_id
      AND n.kind = 'correction' AND n.revision > c.revision AND n.seq < c.seq OFFSET 0))
