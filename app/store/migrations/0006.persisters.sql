-- depends: 0005.visibility

-- Each persister has a number of its own. heartbeat_at: its last sign of life. is_rebuild: it is a rebuild, which holds the
-- partition that it writes and takes no share of the others.
CREATE TABLE persisters (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    is_rebuild boolean NOT NULL DEFAULT false
);

-- The persister that holds a partition: nobody else writes its rows. Null: nobody does.
CREATE TABLE leases (
    partition smallint PRIMARY KEY,
    holder integer,
    taken_at timestamptz
);

-- Entries that the boards counted and the ledger could not record as what they are: duplicates, and dead letters in the
-- narrower sense. reason: `duplicate` or `poison`; cause: why; decision: an operator's, `retry` or `drop`; attempts: how
-- often a retry failed. healed_seq: the entry that took it off the boards or recorded it after all; null while it is open.
-- namespace_id: as in its row of the ledger; 0 where nothing is known but the place. grant_id: of a correction, the grant
-- whose revision it is; null where its tombstone does not tell what it claimed.
CREATE TABLE dead_letters (
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    namespace_id integer NOT NULL,
    reason text NOT NULL,
    entry bytea NOT NULL,
    healed_seq bigint,
    cause text,
    created_at timestamptz DEFAULT now(),
    decision text,
    attempts integer NOT NULL DEFAULT 0,
    grant_id text,
    PRIMARY KEY (partition, epoch, seq, namespace_id)
);
CREATE INDEX dead_letters_open ON dead_letters (partition) WHERE healed_seq IS NULL;
CREATE INDEX dead_letters_of_grant ON dead_letters (partition, grant_id) WHERE healed_seq IS NULL AND grant_id IS NOT NULL;
CREATE INDEX dead_letters_recent ON dead_letters (partition, created_at) WHERE reason <> 'duplicate';
CREATE INDEX dead_letters_decided ON dead_letters (partition, seq) WHERE decision IS NOT NULL AND healed_seq IS NULL;

-- Work of the persisters that fails and is tried again: of one partition's ledger, or of one part of it that the rest does
-- not wait for. persister: who says so.
CREATE TABLE faults (
    partition smallint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    cause text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    persister integer NOT NULL,
    PRIMARY KEY (partition, kind, name, persister)
);
