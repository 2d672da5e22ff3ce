-- depends: 0012.opening_balances

-- An API key may get a new secret: its id, its scopes and all that it owns stay. secret_version rises with each, from 0 on; hash is
-- that of the newest. previous_hash: of the one before, which is good until previous_until, too; null: it is not.
-- created_by, rotated_by, revoked_by: the id of the key whose holder did it over HTTP, or `cli`; null: nobody, or it is not known.
-- A server of the release before makes and revokes keys without these columns, and takes the newest secret alone.
ALTER TABLE api_keys
    ADD COLUMN name text,
    ADD COLUMN secret_version integer NOT NULL DEFAULT 0,
    ADD COLUMN rotated_at timestamptz,
    ADD COLUMN previous_hash text,
    ADD COLUMN previous_until timestamptz,
    ADD COLUMN created_by text,
    ADD COLUMN rotated_by text,
    ADD COLUMN revoked_by text;

-- The pages of a list.
CREATE INDEX api_keys_created ON api_keys (created_at, id);

CREATE CONSTRAINT TRIGGER record_secret_change AFTER UPDATE OF secret_version ON api_keys
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record_state_change('key', 'id');
