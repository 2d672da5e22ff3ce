-- fragment: score_of_grants
-- The score that the grants of a group make. Their columns: amount, granted_at, first_seq. how: as `Aggregation.name` has it; NULL for another one.
CASE {{how}}::text WHEN 'sum' THEN sum(amount)::bigint WHEN 'highest' THEN max(amount) WHEN 'lowest' THEN min(amount)
                   WHEN 'latest' THEN (array_agg(amount ORDER BY granted_at DESC, first_seq DESC))[1] END

-- fragment: tie_place_of_grants
-- The place among equals of that score, where places go by moments (is_kept); else 0.
tie_of(max(tie_key({{how}}, amount, granted_at, first_seq)) FILTER (WHERE {{is_kept}}::boolean))

-- fragment: parts_of_grants
-- What is kept of the grants of a group to make a score of several groups: `score_of_parts` reads it.
sum(amount) AS total, max(amount) AS highest, min(amount) AS lowest,
           max(ARRAY[(extract(epoch FROM granted_at) * 1000000)::bigint, first_seq, amount])
               FILTER (WHERE {{how}}::text = 'latest') AS latest,
           max(tie_key({{how}}, amount, granted_at, first_seq)) FILTER (WHERE {{is_kept}}::boolean) AS tie_key

-- fragment: score_of_parts
-- The score that such groups make together.
CASE {{how}} WHEN 'sum' THEN sum(total)::bigint WHEN 'highest' THEN max(highest) WHEN 'lowest' THEN min(lowest)
             WHEN 'latest' THEN (max(latest))[3] END

-- fragment: order_of_amounts
-- A grant's key where the best amount counts, the best first; 0 where the amount decides nothing.
CASE {{how}}::text WHEN 'highest' THEN {{amount}} WHEN 'lowest' THEN -{{amount}} ELSE 0 END

-- fragment: tie_place_of_cell
-- The place among equals of a score out of its best grant `b`, its latest grant `m` and the latest that is not 0, `t`.
CASE {{how}}::text WHEN 'sum' THEN coalesce(t.place, 0) WHEN 'latest' THEN tie_place(m.granted_at, m.seq)
                   WHEN 'highest' THEN tie_place(b.granted_at, b.seq)
                   WHEN 'lowest' THEN tie_place(b.granted_at, b.seq) END

-- fragment: decides_tie_place
-- That the place among equals may be that of a grant: a sum does not change by a grant of 0.
({{how}}::text <> 'sum' OR {{amount}} <> 0)

-- fragment: decides_tie_place_of_sum
-- The same, and false where scores are no sums: then `tie_place_of_cell` does not read `t`.
({{how}}::text = 'sum' AND {{amount}} <> 0)

-- fragment: order_of_live_grants
-- How the rows of `live_grants` of a namespace are sorted: in each window by amount, the best first, or by moment alone.
rules ->> 'aggregation' = 'best' AS is_by_amount, CASE rules ->> 'order' WHEN 'asc' THEN -1 ELSE 1 END AS sign

-- fragment: sort_key_of_live_grant
-- The sort_key of a grant there.
CASE WHEN {{order}}.is_by_amount THEN {{order}}.sign * {{row}}.amount ELSE 0 END

-- fragment: windows_of_live_grant
-- The windows `w` in which a grant has a row there.
CROSS JOIN LATERAL unnest(CASE WHEN {{order}}.is_by_amount THEN {{row}}.windows ELSE '{all}' END) AS w (name)
