-- depends:

CREATE TABLE deployment (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id text NOT NULL,
    partitions smallint NOT NULL
);

-- How far each partition's log is in the ledger; digest is the content digest of that last entry.
CREATE TABLE partitions (
    partition smallint PRIMARY KEY,
    epoch integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL DEFAULT '',
    opened_at timestamptz
);

CREATE SEQUENCE rules_version;

CREATE TABLE namespaces (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    partition smallint NOT NULL,
    version bigint NOT NULL DEFAULT nextval('rules_version'),
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    dropped_at timestamptz
);
CREATE UNIQUE INDEX namespaces_name ON namespaces (name) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    hash text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- Ledger rows hold numbers; the names they stand for live here, where erasure may change them.
CREATE TABLE users (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE
);

CREATE TABLE ledger (
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    namespace_id integer NOT NULL,
    grant_id text NOT NULL,
    revision integer NOT NULL,
    user_number bigint,
    amount bigint NOT NULL,
    weight smallint NOT NULL,
    score bigint NOT NULL,
    category text,
    source text,
    source_id text,
    action text,
    session_id text,
    granted_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    windows text[] NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (partition, epoch, seq)
);
CREATE UNIQUE INDEX ledger_grant ON ledger (namespace_id, grant_id, revision, kind);
CREATE INDEX ledger_user ON ledger (namespace_id, user_number, granted_at DESC, seq DESC);

CREATE TABLE grant_meta (
    namespace_id integer NOT NULL,
    seq bigint NOT NULL,
    meta jsonb NOT NULL,
    PRIMARY KEY (namespace_id, seq)
);

-- Entries the boards counted and the ledger could not take as they were: healed_by is the seq that takes them back.
CREATE TABLE set_aside (
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    entry bytea NOT NULL,
    healed_seq bigint,
    PRIMARY KEY (partition, epoch, seq)
);
CREATE INDEX set_aside_open ON set_aside (partition) WHERE healed_seq IS NULL;

CREATE TABLE standings (
    namespace_id integer NOT NULL,
    "window" text NOT NULL,
    user_number bigint NOT NULL,
    score bigint NOT NULL,
    grants bigint NOT NULL,
    last_granted_at timestamptz NOT NULL,
    PRIMARY KEY (namespace_id, "window", user_number)
);
CREATE INDEX standings_score ON standings (namespace_id, "window", score DESC);
CREATE INDEX standings_user ON standings (user_number);
