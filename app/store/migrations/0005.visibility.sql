-- depends: 0004.archives

-- In these three tables namespace_id 0 is the whole deployment.

-- Users that boards do not show, and why: one row while any of the three holds. Boards of a namespace hide a user while a
-- row of the namespace or of the deployment does. Reads of the past leave them out, too.
CREATE TABLE hidden_users (
    user_number bigint NOT NULL REFERENCES users (number),
    namespace_id integer NOT NULL DEFAULT 0,
    by_admin boolean NOT NULL DEFAULT false,
    opted_out boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    PRIMARY KEY (user_number, namespace_id),
    CONSTRAINT hidden_users_cause CHECK (by_admin OR opted_out OR erased),
    CONSTRAINT hidden_users_erased CHECK (namespace_id = 0 OR NOT erased)
);
CREATE INDEX hidden_users_namespace ON hidden_users (namespace_id) WHERE namespace_id <> 0;

-- The state that a user was last meant to have: `hide`, `unhide`, `erase` or `release`. pending_partitions: those that have
-- not confirmed it; one of a namespace is pending in its partition alone. `name` is the user's, as Redis knows it: the row
-- goes with the last trace of it.
CREATE SEQUENCE visibility_version;

CREATE TABLE visibility_intents (
    user_number bigint NOT NULL REFERENCES users (number),
    namespace_id integer NOT NULL DEFAULT 0,
    name text NOT NULL,
    version bigint NOT NULL,
    desired_state text NOT NULL,
    actor text,
    requested_at timestamptz NOT NULL DEFAULT now(),
    pending_partitions smallint[] NOT NULL,
    PRIMARY KEY (user_number, namespace_id)
);
CREATE INDEX visibility_intents_pending ON visibility_intents (version) WHERE pending_partitions <> '{}';
CREATE INDEX visibility_intents_done ON visibility_intents (desired_state, requested_at)
WHERE pending_partitions = '{}' AND desired_state <> 'hide';
CREATE INDEX visibility_intents_namespace ON visibility_intents (namespace_id) WHERE namespace_id <> 0;

CREATE CONSTRAINT TRIGGER record_change AFTER INSERT OR DELETE OR UPDATE OF version, desired_state ON visibility_intents
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_state_change('user', 'user_number');

-- What a user is called. A null name or avatar in a namespace is the deployment's; a time zone is only in rows of the
-- deployment. Erasure deletes a profile and keeps the number. The last version is the highest of all users.
-- folded_name: the name without case (app/model/profile.py), by which users are found.
CREATE SEQUENCE profile_version;

CREATE TABLE profiles (
    user_number bigint NOT NULL REFERENCES users (number),
    namespace_id integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT nextval('profile_version'),
    display_name text,
    avatar text,
    timezone text,
    opt_out boolean NOT NULL DEFAULT false,
    folded_name text,
    PRIMARY KEY (user_number, namespace_id),
    CONSTRAINT profiles_timezone CHECK (namespace_id = 0 OR timezone IS NULL)
);
CREATE INDEX profiles_namespace ON profiles (namespace_id) WHERE namespace_id <> 0;
CREATE INDEX profiles_folded_name ON profiles (namespace_id, folded_name COLLATE "C", user_number)
WHERE folded_name IS NOT NULL;

CREATE CONSTRAINT TRIGGER record_change AFTER INSERT OR DELETE OR UPDATE OF version ON profiles
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_state_change('profile', 'user_number');
