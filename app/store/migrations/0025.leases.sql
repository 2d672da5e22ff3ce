-- depends: 0019.archive_sums

-- Persisters, each with a number of its own a session. beat_at: when it was last heard of.
CREATE TABLE persisters (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    beat_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The persister that holds a partition: nobody else writes its rows. Null: nobody does.
CREATE TABLE leases (
    partition smallint PRIMARY KEY,
    holder integer,
    taken_at timestamptz
);
