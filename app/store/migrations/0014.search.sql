-- depends: 0013.key_secrets

-- By what users of a namespace are found: their id, and the name that its boards show, both without case
-- (app/model/profile.py). A row for each user with a grant, a profile or a state there; none of one who is erased. Searches
-- look at the user's profile, too: a row that is behind it shows nobody.
CREATE TABLE searchable_users (
    user_number bigint NOT NULL,
    namespace_id integer NOT NULL,
    folded_id text COLLATE "C" NOT NULL,
    folded_name text COLLATE "C",
    PRIMARY KEY (user_number, namespace_id)
);
CREATE INDEX searchable_users_id ON searchable_users (namespace_id, folded_id, user_number);
CREATE INDEX searchable_users_name ON searchable_users (namespace_id, folded_name, user_number)
WHERE folded_name IS NOT NULL;

-- Users whose rows there may be behind their profiles. A change of the user gives another version. reached_namespace: up to
-- where the rows are updated. recheck_xid: transactions before it did not see the change, and may yet write a row; once they
-- have ended, the rows are updated again. Null before the first update is done.
CREATE SEQUENCE search_update_version;
CREATE TABLE pending_search_updates (
    user_number bigint PRIMARY KEY,
    version bigint NOT NULL DEFAULT nextval('search_update_version'),
    reached_namespace integer NOT NULL DEFAULT 0,
    recheck_xid xid8
);
CREATE INDEX pending_search_updates_first ON pending_search_updates (version) WHERE recheck_xid IS NULL;
CREATE INDEX pending_search_updates_again ON pending_search_updates (recheck_xid, version) WHERE recheck_xid IS NOT NULL;

CREATE FUNCTION add_search_update(number bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO pending_search_updates (user_number) VALUES (number)
    ON CONFLICT (user_number) DO UPDATE SET version = excluded.version, reached_namespace = 0, recheck_xid = NULL
$$;

CREATE FUNCTION note_search_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM add_search_update(CASE TG_OP WHEN 'DELETE' THEN OLD.user_number ELSE NEW.user_number END);
    RETURN NULL;
END
$$;

-- Whoever writes a profile or a state, of whichever version: the update follows.
CREATE TRIGGER note_new_name AFTER INSERT ON profiles
FOR EACH ROW WHEN (NEW.folded_name IS NOT NULL OR NEW.namespace_id <> 0) EXECUTE FUNCTION note_search_update();
CREATE TRIGGER note_changed_name AFTER UPDATE ON profiles
FOR EACH ROW WHEN (NEW.folded_name IS DISTINCT FROM OLD.folded_name) EXECUTE FUNCTION note_search_update();
CREATE TRIGGER note_deleted_name AFTER DELETE ON profiles FOR EACH ROW EXECUTE FUNCTION note_search_update();
CREATE TRIGGER note_hidden_user AFTER INSERT ON hidden_users
FOR EACH ROW WHEN (NEW.namespace_id <> 0) EXECUTE FUNCTION note_search_update();

-- The users from before there was this table get their rows in the background. reached_user: up to whom they are noted above.
-- last_version: of the update of the last one. done_at: from when on all of them are found by their rows.
CREATE TABLE search_fill (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    reached_user bigint NOT NULL DEFAULT 0,
    last_version bigint,
    done_at timestamptz
);
INSERT INTO search_fill (done_at) SELECT CASE WHEN NOT EXISTS (SELECT FROM users) THEN now() END;
