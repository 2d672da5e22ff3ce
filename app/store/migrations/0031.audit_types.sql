-- depends: 0030.live_grants

-- Each type of a namespace's events in its own stretch, and each actor's: a rare one is found without a walk.
CREATE INDEX audit_type ON audit (namespace_id, type, id);
CREATE INDEX audit_actor ON audit (namespace_id, actor, type, id) WHERE actor IS NOT NULL;
DROP INDEX audit_namespace;
