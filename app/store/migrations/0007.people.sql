-- depends: 0006.days

-- Who is off every board, and why: one row a user while any of the three holds. What is read of the past leaves them out.
CREATE TABLE hidden (
    user_number bigint PRIMARY KEY REFERENCES users (number),
    by_admin boolean NOT NULL DEFAULT false,
    opted_out boolean NOT NULL DEFAULT false,
    erased boolean NOT NULL DEFAULT false,
    CHECK (by_admin OR opted_out OR erased)
);

-- What was asked for last of a user and is to become true in every partition; `open`: those that have not confirmed it.
-- `name` is the user's own, which Redis knows them by; the row goes with the last trace of it.
CREATE SEQUENCE intent_version;

CREATE TABLE intents (
    user_number bigint PRIMARY KEY REFERENCES users (number),
    name text NOT NULL,
    version bigint NOT NULL,
    wish text NOT NULL,
    actor text,
    asked_at timestamptz NOT NULL DEFAULT now(),
    open smallint[] NOT NULL
);
CREATE INDEX intents_open ON intents (version) WHERE open <> '{}';
CREATE INDEX intents_done ON intents (wish, asked_at) WHERE open = '{}' AND wish <> 'hide';

-- How many users were erased: who keeps numbers by name keeps them by this one.
ALTER TABLE deployment ADD COLUMN erasures bigint NOT NULL DEFAULT 0;
