-- depends: 0019.archive_sums

-- Places in line among equal scores, where that goes by moments: the moment of a grant and the seq of its first entry in
-- one number, as app/model/tie_break.py has it. The lower one stands first.
CREATE FUNCTION tie_place(granted_at timestamptz, seq bigint) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (90999999999000000 + (extract(epoch FROM granted_at) * 1000000)::bigint)::numeric * 10000000000000000 + seq
$$;

-- Of a user's grants on a board the greatest key belongs to the one whose place is the score's: of a sum the latest that is
-- not 0, of the best the earliest, of the latest itself. how: sum, highest, lowest or latest.
CREATE FUNCTION tie_key(how text, value bigint, granted_at timestamptz, seq bigint) RETURNS numeric[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE how WHEN 'sum' THEN CASE WHEN value <> 0 THEN ARRAY[0, tie_place(granted_at, seq)] END
                    WHEN 'latest' THEN ARRAY[0, tie_place(granted_at, seq)]
                    WHEN 'highest' THEN ARRAY[value, -tie_place(granted_at, seq)]
                    ELSE ARRAY[-value, -tie_place(granted_at, seq)] END
$$;

-- The place out of the greatest key; 0, before every moment, where no grant has one.
CREATE FUNCTION tie_of(key numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(abs(key[2]), 0)
$$;

-- Where the tie-break goes by moments, `since` is such a place: more than a bigint holds.
ALTER TABLE archived ALTER COLUMN since TYPE numeric;
