-- depends: 0003.corrections

-- What happened to a namespace and stands in no ledger: who did what; `body` holds the event's own fields, as a client
-- reads them. A row is written by the statement that makes the change, behind that row's lock: the ids of one namespace
-- are in the order of their commits.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace_id integer NOT NULL,
    type text NOT NULL,
    actor text,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    body json NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_namespace ON audit (namespace_id, id);

-- A name's namespaces, deleted ones too.
CREATE INDEX namespaces_named ON namespaces (name, id);

-- The ledger as a stream of events, each kind in its own stretch; the rare filters have indexes that hold few rows.
CREATE INDEX ledger_events ON ledger (namespace_id, (coalesce(verb, kind)), seq);
CREATE INDEX ledger_actor ON ledger (namespace_id, actor, seq) WHERE actor IS NOT NULL;
CREATE INDEX ledger_session ON ledger (namespace_id, session_id, seq) WHERE session_id IS NOT NULL;
