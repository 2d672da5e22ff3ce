-- fragment: score_of_grants
-- The score that the grants of a group make. Their columns: amount, granted_at, first_seq. how: as `Aggregation.name` has it; NULL for another one.
CASE {{how}}::text WHEN 'sum' THEN sum(amount)::bigint WHEN 'highest' THEN max(amount) WHEN 'lowest' THEN min(amount)
                   WHEN 'latest' THEN (array_agg(amount ORDER BY granted_at DESC, first_seq DESC))[1] END

-- fragment: tie_place_of_grants
-- The place among equals of that score, where places go by moments (has_tie_places); else 0.
tie_of(max(tie_key({{how}}, amount, granted_at, first_seq)) FILTER (WHERE {{has_tie_places}}::boolean))

-- fragment: latest_of_grants
-- The moment (microseconds) and the seq of the latest of the grants of a group, where it makes the score.
max(ARRAY[(extract(epoch FROM granted_at) * 1000000)::bigint, first_seq]) FILTER (WHERE {{how}}::text = 'latest')

-- fragment: tie_keys_of_grants
-- Of the grants of a group the greatest keys: the grant with the greatest of all groups gives the score its place among
-- equals. tie_key: by moments; seq_key: by the seqs of grants, where nothing but grants came.
max(tie_key({{how}}, amount, granted_at, first_seq)) FILTER (WHERE {{by_moment}}::boolean) AS tie_key,
           max(CASE {{how}}::text WHEN 'sum' THEN CASE WHEN amount <> 0 THEN ARRAY[0, first_seq] END
                                  WHEN 'highest' THEN ARRAY[amount, -first_seq]
                                  WHEN 'lowest' THEN ARRAY[-amount, -first_seq] END)
               FILTER (WHERE {{by_seq}}::boolean) AS seq_key

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
