-- depends:

-- The one row of a deployment. erasure_count: how many users were erased; who keeps users' numbers by name forgets them
-- when it rises. state_version: how many changes there were of namespaces, API keys, what is wished for users, and profiles;
-- state_token: the token of the last one, empty where there was none.
-- key_proof: of the digest key with which the deployment was made (app/access/digest_key.py); empty: it has none.
CREATE TABLE deployment (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id text NOT NULL,
    partitions smallint NOT NULL,
    erasure_count bigint NOT NULL DEFAULT 0,
    state_version bigint NOT NULL DEFAULT 0,
    state_token text NOT NULL DEFAULT '',
    key_proof text NOT NULL DEFAULT ''
);

-- The latest of these changes: what has changed, to be read where it stands now. id: that of a namespace or an API key, or
-- the number of a user; namespace_id: where something is wished for the user, or is their profile; 0: everywhere. token: when
-- it was made, in microseconds since 1970, and random digits. A Postgres that was restored and changed has the same versions
-- again, and never the same tokens.
CREATE TABLE state_changes (
    version bigint PRIMARY KEY,
    kind text NOT NULL,
    id text NOT NULL,
    namespace_id integer NOT NULL,
    token text NOT NULL
);

-- The numbers by which partitions in Redis are told that something has changed: of namespaces and API keys (`changes`), and of
-- profiles. An announcement takes its number once its change is published: a process that knows a number can read all
-- changes up to it.
CREATE TABLE announcements (
    kind text PRIMARY KEY,
    number bigint NOT NULL DEFAULT 0
);
INSERT INTO announcements (kind) VALUES ('changes'), ('profiles');

CREATE FUNCTION new_state_token() RETURNS text LANGUAGE sql VOLATILE
RETURN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint || '-'
    || substr(replace(gen_random_uuid()::text, '-', ''), 17);

-- Its triggers are deferred: the row of the deployment is locked last of all, and versions are in the order of commits.
CREATE FUNCTION record_state_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
    next_version bigint;
    next_token text := new_state_token();
BEGIN
    UPDATE deployment SET state_version = state_version + 1, state_token = next_token
    RETURNING state_version INTO next_version;
    IF next_version IS NOT NULL THEN
        INSERT INTO state_changes
        VALUES (next_version, TG_ARGV[0], changed ->> TG_ARGV[1], coalesce((changed ->> 'namespace_id')::int, 0), next_token);
    END IF;
    RETURN NULL;
END
$$;

-- How far each partition's log is in the ledger (epoch, seq), and how far the ledger is in the buckets and the live grants
-- (counted_epoch, counted_seq). digest: the content digest of the last entry in the ledger. newest_epoch: the greatest that the
-- log ever had; a rebuild begins another one. fence_epoch, fence_seq: where the Redis that was marked last had its end; a row
-- of that epoch or an earlier one behind that seq is of a former primary, and is not recorded. chain_hash: that of the ledger's last row; chain_mac: proves, to who has the
-- digest key, that a persister wrote it for this place (app/model/ledger_chain.py).
CREATE TABLE partitions (
    partition smallint PRIMARY KEY,
    epoch integer NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    digest bytea NOT NULL DEFAULT '',
    opened_at timestamptz,
    counted_epoch integer NOT NULL DEFAULT 0,
    counted_seq bigint NOT NULL DEFAULT 0,
    newest_epoch integer NOT NULL DEFAULT 1,
    fence_epoch integer NOT NULL DEFAULT 0,
    fence_seq bigint NOT NULL DEFAULT 0,
    chain_hash bytea NOT NULL DEFAULT '',
    chain_mac bytea NOT NULL DEFAULT ''
);

CREATE SEQUENCE rules_version;

-- latest_acceptable_at: the latest moment that a grant may have, in microseconds since 1970, by all rules before the present
-- ones. accept_future_max: the largest accept_future that it ever had, in microseconds; 2^53 for one without a bound. A retry
-- is looked up in the ledger by it, for the grant may have come while that was in force. has_user_data: whether anything was
-- ever kept of a user in this namespace alone, as a row of the ledger is; from then on it stays in its partition, for Redis
-- keeps that beside its boards, and the ledger looks for it there. created_by: the API key that made it.
CREATE TABLE namespaces (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    partition smallint NOT NULL,
    version bigint NOT NULL DEFAULT nextval('rules_version'),
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    dropped_at timestamptz,
    latest_acceptable_at bigint NOT NULL DEFAULT 0,
    has_user_data boolean NOT NULL DEFAULT false,
    accept_future_max bigint NOT NULL DEFAULT 0,
    created_by text
);
CREATE UNIQUE INDEX namespaces_name ON namespaces (name) WHERE deleted_at IS NULL;
-- A name's namespaces, deleted ones too.
CREATE INDEX namespaces_named ON namespaces (name, id);
CREATE INDEX namespaces_seasons ON namespaces (partition) WHERE rules -> 'seasons' <> '[]' AND deleted_at IS NULL;
-- What has changed lately is read again and again, and is a small part of all.
CREATE INDEX namespaces_version ON namespaces (version);
CREATE INDEX namespaces_deleted ON namespaces (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX namespaces_created_by ON namespaces (created_by) WHERE deleted_at IS NULL;

-- The partition of a namespace. Called immutable, so that the planner works it out first and then opens no other partition
-- of the ledger. That tells the truth of every row there: a namespace with a row never changes its partition.
CREATE FUNCTION partition_of(namespace_id integer) RETURNS smallint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT n.partition FROM namespaces n WHERE n.id = namespace_id);

CREATE FUNCTION accept_future_of(rules jsonb) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN rules IS NULL THEN 0
        WHEN NOT rules ? 'accept_future' THEN 300000000
        ELSE coalesce((extract(epoch FROM (rules ->> 'accept_future')::interval) * 1000000)::bigint, 9007199254740992)
    END
$$;

CREATE FUNCTION keep_accept_future_max() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.accept_future_max := greatest(NEW.accept_future_max, accept_future_of(NEW.rules));
    RETURN NEW;
END
$$;

CREATE TRIGGER keep_accept_future_max BEFORE INSERT OR UPDATE OF rules ON namespaces
FOR EACH ROW EXECUTE FUNCTION keep_accept_future_max();

CREATE CONSTRAINT TRIGGER record_change AFTER INSERT OR DELETE OR UPDATE OF version, deleted_at ON namespaces
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_state_change('namespace', 'id');

CREATE TABLE api_keys (
    id text PRIMARY KEY,
    hash text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

CREATE CONSTRAINT TRIGGER record_change AFTER INSERT OR DELETE OR UPDATE OF revoked_at ON api_keys
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_state_change('key', 'id');

-- Seasons whose beginning is among the events.
CREATE TABLE opened_seasons (
    namespace_id integer NOT NULL,
    season text NOT NULL,
    PRIMARY KEY (namespace_id, season)
);

-- The events of a namespace that are not in the ledger: who did what. `body` holds the event's own fields, as a client reads
-- them. The statement that makes the change writes the row, behind that row's lock: the ids of one namespace are in the
-- order of their commits.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    namespace_id integer NOT NULL,
    type text NOT NULL,
    actor text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body json NOT NULL DEFAULT '{}',
    PRIMARY KEY (id, namespace_id)
);
-- Each type of a namespace's events in its own stretch, and each actor's: a rare one is found without a walk.
CREATE INDEX audit_type ON audit (namespace_id, type, id);
CREATE INDEX audit_actor ON audit (namespace_id, actor, type, id) WHERE actor IS NOT NULL;
