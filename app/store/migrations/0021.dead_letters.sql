-- depends: 0020.grant_meta

-- Why an entry could not be recorded as what it is, when that was found, and what an operator decided: `retry` or `drop`.
-- attempts: how often it was tried again in vain. An old one has no moment, so that it counts for no rate.
ALTER TABLE set_aside ADD COLUMN cause text, ADD COLUMN set_aside_at timestamptz, ADD COLUMN decision text,
    ADD COLUMN attempts integer NOT NULL DEFAULT 0;
ALTER TABLE set_aside ALTER COLUMN set_aside_at SET DEFAULT now();
CREATE INDEX set_aside_recent ON set_aside (partition, set_aside_at) WHERE reason <> 'duplicate';
CREATE INDEX set_aside_decided ON set_aside (partition, seq) WHERE decision IS NOT NULL AND healed_seq IS NULL;

-- Where a row records what an earlier entry did: the seq of that one.
ALTER TABLE ledger ADD COLUMN original_seq bigint;

-- Work of the persisters that fails and is tried again: of one partition's ledger, or of one part of it that the rest does
-- not wait for.
CREATE TABLE faults (
    partition smallint NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    cause text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, kind, name)
);
