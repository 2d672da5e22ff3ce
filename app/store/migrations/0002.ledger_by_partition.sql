-- depends: 0001.deployment

-- Ledger rows hold numbers; the names are here, where erasure may change them.
CREATE TABLE users (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE INDEX users_by_beginning ON users (name COLLATE "C", number);

-- One row an entry of the log; append-only; a table for each partition.
-- What the entry did: `entry_amount`, the units that it adds itself (0 for a correction, negative for a heal); `live_delta`,
-- the live grants that it adds (1, 0 or -1; of a `loss` any number); `score_delta`, what it changed on the `all` board; `score`, the user's score
-- there behind it, null where the user left the board.
-- What the grant is from then on: `amount`, null where the entry is of no grant; `voided`, whether it counts; `day`, in the
-- namespace's zone, where streaks are on. `original_seq`: the seq of the earlier entry that this row records.
-- `request_digest`: what the request with this `idempotency_key` was about; another one with the same key is refused.
-- `chain_hash`: over this row and the hash of the row before it; null in rows from before there were hashes. `salt`: of the
-- digests of source_id, session_id, reason, actor and request_digest, which stand for these in the hash. An erasure clears
-- texts and salt, and keeps the digests: `text_digests`.
CREATE TABLE ledger (
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    namespace_id integer NOT NULL,
    grant_id text NOT NULL,
    revision integer NOT NULL,
    user_number bigint,
    entry_amount bigint NOT NULL,
    live_delta integer NOT NULL,
    score bigint,
    category text,
    source text,
    source_id text,
    action text,
    session_id text,
    granted_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    windows text[] NOT NULL,
    digest bytea NOT NULL,
    score_delta bigint NOT NULL DEFAULT 0,
    amount bigint,
    voided boolean NOT NULL DEFAULT false,
    verb text,
    reason text,
    actor text,
    idempotency_key text,
    day date,
    request_digest bytea,
    original_seq bigint,
    chain_hash bytea,
    salt bytea,
    text_digests bytea
) PARTITION BY LIST (partition);
CREATE INDEX ledger_user ON ledger (namespace_id, user_number, granted_at DESC, seq DESC);
CREATE INDEX ledger_idempotency_key ON ledger (namespace_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- The grants of a stretch of time: small, and of use as long as they come roughly in its order.
CREATE INDEX ledger_granted ON ledger USING brin (namespace_id, granted_at);
-- The ends of a stretch by the time of recording: of a user, and of a namespace, whose rows are in that order. Led by the
-- user, so that no look-up of a grant by namespace and id is ever planned through it.
CREATE INDEX ledger_recorded ON ledger (user_number, namespace_id, recorded_at) WHERE kind = 'grant';
CREATE INDEX ledger_recorded_at ON ledger USING brin (recorded_at);
-- The ledger as a stream of events, each kind in its own stretch; the rare filters have indexes that hold few rows.
CREATE INDEX ledger_events ON ledger (namespace_id, (coalesce(verb, kind)), seq);
CREATE INDEX ledger_actor ON ledger (namespace_id, actor, seq) WHERE actor IS NOT NULL;
CREATE INDEX ledger_session ON ledger (namespace_id, session_id, seq) WHERE session_id IS NOT NULL;
-- The grants of one source, in the order in which they were recorded.
CREATE INDEX ledger_source ON ledger (namespace_id, source, source_id, seq)
WHERE source_id IS NOT NULL AND kind IN ('grant', 'correction');

-- A partition's table comes with its row in `partitions`. Its keys are made here, because those of the whole ledger would
-- have to hold the partition: while a table is young, plans would then prefer them to the index that fits.
CREATE FUNCTION create_ledger_table() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('ledger_' || NEW.partition) IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('CREATE TABLE ledger_%s PARTITION OF ledger FOR VALUES IN (%s)', NEW.partition, NEW.partition);
    EXECUTE format('ALTER TABLE ledger_%s ADD PRIMARY KEY (epoch, seq, namespace_id)', NEW.partition);
    EXECUTE format('CREATE UNIQUE INDEX ledger_%s_grant ON ledger_%s (namespace_id, grant_id, revision, kind)',
                   NEW.partition, NEW.partition);
    RETURN NULL;
END
$$;

CREATE TRIGGER create_ledger_table AFTER INSERT ON partitions FOR EACH ROW EXECUTE FUNCTION create_ledger_table();

-- All revisions of grants: the grants themselves and their corrections. The planner puts the condition in place of the view.
CREATE VIEW grant_revisions AS SELECT * FROM ledger WHERE kind IN ('grant', 'correction');

-- What a grant carries, by the grant's own place: a seq alone is that of another grant in another partition.
CREATE TABLE grant_meta (
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    namespace_id integer NOT NULL,
    meta jsonb NOT NULL,
    PRIMARY KEY (partition, epoch, seq, namespace_id)
);

-- A user's score and live grants on the `all` board of a namespace, as far as the ledger has come.
CREATE TABLE standings (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    score bigint NOT NULL,
    grants bigint NOT NULL,
    last_granted_at timestamptz NOT NULL,
    PRIMARY KEY (user_number, namespace_id)
) WITH (fillfactor = 70);
-- The users of a namespace. The score is in no index, and each page has room for its rows' next versions: so an update of a
-- score touches no index.
CREATE INDEX standings_namespace ON standings (namespace_id);

-- Grants in quarantine that no admin has decided about. A row comes with its grant and leaves with the grant's first
-- correction, in the transaction that records either. So the list of them costs nothing for what was decided.
CREATE TABLE quarantined_grants (
    namespace_id integer NOT NULL,
    seq bigint NOT NULL,
    grant_id text NOT NULL,
    source text,
    source_id text,
    PRIMARY KEY (namespace_id, seq)
);
CREATE INDEX quarantined_grants_grant ON quarantined_grants (namespace_id, grant_id);
CREATE INDEX quarantined_grants_source ON quarantined_grants (namespace_id, source, source_id, seq);

CREATE FUNCTION keep_quarantined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'grant' THEN
        INSERT INTO quarantined_grants VALUES (NEW.namespace_id, NEW.seq, NEW.grant_id, NEW.source, NEW.source_id)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM quarantined_grants WHERE namespace_id = NEW.namespace_id AND grant_id = NEW.grant_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_quarantined AFTER INSERT ON ledger
FOR EACH ROW WHEN (NEW.kind = 'correction' OR (NEW.kind = 'grant' AND NEW.verb = 'quarantine'))
EXECUTE FUNCTION keep_quarantined();

-- The order among equal scores, where earlier grants stand first: the moment of a grant and the seq of its first entry in
-- one number, as app/model/tie_break.py has it. The lower one stands first.
CREATE FUNCTION tie_place(granted_at timestamptz, seq bigint) RETURNS numeric LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (90999999999000000 + (extract(epoch FROM granted_at) * 1000000)::bigint)::numeric * 10000000000000000 + seq
$$;

-- The greatest key of a user's grants on a board belongs to the grant whose place is the score's: of a sum the latest that
-- is not 0, of the best the earliest, of the latest itself. how: sum, highest, lowest or latest.
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
