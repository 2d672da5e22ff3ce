-- depends: 0009.lost_cells_since

-- What `leaderboard compare` found: figures alone, no names of users. as_of: up to which granted_at grants counted, null for all;
-- partition, epoch, seq: the end of the ledger then. findings: users who differ by more than max_diff, users of whom the other
-- system has different scores, and lines that could not be read.
CREATE TABLE comparisons (
    id bigint GENERATED ALWAYS AS IDENTITY,
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    category text,
    source text NOT NULL,
    as_of timestamptz,
    compared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    max_diff numeric NOT NULL,
    largest_difference numeric NOT NULL,
    findings bigint NOT NULL,
    figures json NOT NULL,
    PRIMARY KEY (id, namespace_id)
);
CREATE INDEX comparisons_namespace ON comparisons (namespace_id, compared_at);
