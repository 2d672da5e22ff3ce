-- depends: 0045.accept_future_max

-- Grants in quarantine about which nothing was decided: a row comes with its grant and leaves with the grant's first
-- correction, both within the transaction that records them. The list of them costs nothing for what was decided.
CREATE TABLE quarantined (
    namespace_id integer NOT NULL,
    seq bigint NOT NULL,
    grant_id text NOT NULL,
    source text,
    source_id text,
    PRIMARY KEY (namespace_id, seq)
);
CREATE INDEX quarantined_grant ON quarantined (namespace_id, grant_id);
CREATE INDEX quarantined_source ON quarantined (namespace_id, source, source_id, seq);

-- The grants of one source, in the order in which they were recorded.
CREATE INDEX ledger_source ON ledger (namespace_id, source, source_id, seq)
WHERE source_id IS NOT NULL AND kind IN ('grant', 'correction');

CREATE FUNCTION keep_quarantined() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind = 'grant' THEN
        INSERT INTO quarantined VALUES (NEW.namespace_id, NEW.seq, NEW.grant_id, NEW.source, NEW.source_id)
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM quarantined WHERE namespace_id = NEW.namespace_id AND grant_id = NEW.grant_id;
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_quarantined AFTER INSERT ON ledger
FOR EACH ROW WHEN (NEW.kind = 'correction' OR (NEW.kind = 'grant' AND NEW.verb = 'quarantine'))
EXECUTE FUNCTION keep_quarantined();

INSERT INTO quarantined
SELECT namespace_id, seq, grant_id, source, source_id FROM ledger l
WHERE kind = 'grant' AND verb = 'quarantine' AND NOT EXISTS (
    SELECT FROM ledger c WHERE c.namespace_id = l.namespace_id AND c.grant_id = l.grant_id AND c.kind = 'correction');
