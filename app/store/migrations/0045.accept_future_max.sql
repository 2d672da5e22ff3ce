-- depends: 0017.reach

-- The largest accept_future that a namespace ever had, in microseconds; 2^53 for one without a bound. A retry is looked up
-- in the ledger by it, for the grant may have come while that was in force.
ALTER TABLE namespaces ADD COLUMN accept_future_max bigint NOT NULL DEFAULT 0;

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

UPDATE namespaces n SET accept_future_max = greatest(
    accept_future_of(n.rules),
    (SELECT max(greatest(
        accept_future_of((a.body -> 'previous_rules')::jsonb), accept_future_of((a.body -> 'rules')::jsonb)))
     FROM audit a WHERE a.namespace_id = n.id AND a.type IN ('namespace_created', 'namespace_changed')));
