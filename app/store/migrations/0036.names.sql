-- depends: 0035.visibility

-- What a user is called in one namespace: a row of its own, beside the one for the whole deployment (namespace_id 0).
-- A name or a picture that is null there is the deployment's; a time zone stands in rows of the deployment alone.
ALTER TABLE profiles ADD COLUMN namespace_id integer NOT NULL DEFAULT 0;
ALTER TABLE profiles DROP CONSTRAINT profiles_pkey, ADD PRIMARY KEY (user_number, namespace_id);
ALTER TABLE profiles ADD CHECK (namespace_id = 0 OR timezone IS NULL);
CREATE INDEX profiles_namespace ON profiles (namespace_id) WHERE namespace_id <> 0;
