-- depends: 0007.lost_cells

-- Who is told by HTTP of what happens. settings: what a client wrote (app/model/webhook.py). api_key_id: the key by whose
-- rights it is judged; api_key_hash: that of a bootstrap key, which no table has. secret: encrypted (app/access/secret_box.py); the
-- previous one signs beside it until previous_secret_until. stop_reason: why nothing is delivered now. is_gone: the receiver
-- answered 410. top: the users and ranks of the board that were told last, by user number; top_version: of that board.
CREATE TABLE webhooks (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    version integer NOT NULL DEFAULT 1,
    api_key_id text NOT NULL,
    api_key_hash text,
    settings json NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_secret_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    stop_reason text,
    is_gone boolean NOT NULL DEFAULT false,
    top json,
    top_version bigint
);

-- How far a webhook was told of each partition's ledger. Partition -1: of the audit, where seq is an id.
CREATE TABLE webhook_offsets (
    webhook integer NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
    partition smallint NOT NULL,
    epoch integer NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (webhook, partition)
) WITH (fillfactor = 50);

-- What waits for its next attempt, in each of a webhook's streams: a row while the first message of the stream fails.
CREATE TABLE webhook_retries (
    webhook integer NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
    stream text NOT NULL,
    message_id text NOT NULL,
    attempts integer NOT NULL,
    first_attempt_at timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    PRIMARY KEY (webhook, stream)
);

-- The latest messages of a webhook, and those that were given up. state: `delivered`, `failing`, `dead`, or `resend`: a client asks
-- for it again. place: where the message is made from anew; no text of a user is kept here.
CREATE TABLE webhook_deliveries (
    webhook integer NOT NULL REFERENCES webhooks (number) ON DELETE CASCADE,
    number bigint GENERATED ALWAYS AS IDENTITY,
    message_id text NOT NULL,
    type text NOT NULL,
    place json NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    first_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status integer,
    error text,
    PRIMARY KEY (webhook, number),
    UNIQUE (webhook, message_id)
);
CREATE INDEX webhook_deliveries_state ON webhook_deliveries (webhook, state, number);
