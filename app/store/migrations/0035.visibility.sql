-- depends: 0020.grant_meta

-- Who is off the boards of one namespace: a row of its own, beside the one for the whole deployment (namespace_id 0).
-- A user is off the boards of a namespace while a row of either holds. `erased` stands in rows of the deployment alone.
ALTER TABLE hidden ADD COLUMN namespace_id integer NOT NULL DEFAULT 0;
ALTER TABLE hidden DROP CONSTRAINT hidden_pkey, ADD PRIMARY KEY (user_number, namespace_id);
ALTER TABLE hidden ADD CHECK (namespace_id = 0 OR NOT erased);
CREATE INDEX hidden_namespace ON hidden (namespace_id) WHERE namespace_id <> 0;

-- What was asked for last of a user, in each of them; one of a namespace is open in its partition alone.
ALTER TABLE intents ADD COLUMN namespace_id integer NOT NULL DEFAULT 0;
ALTER TABLE intents DROP CONSTRAINT intents_pkey, ADD PRIMARY KEY (user_number, namespace_id);
CREATE INDEX intents_namespace ON intents (namespace_id) WHERE namespace_id <> 0;

-- Whether anything was ever kept of a user in this namespace alone. From then on it stays in its partition, for Redis keeps
-- that beside its boards.
ALTER TABLE namespaces ADD COLUMN people boolean NOT NULL DEFAULT false;
