-- depends: 0003.corrections

-- What a correction with an Idempotency-Key was asked to do, as a digest: the same key with another ask is a mistake.
ALTER TABLE ledger ADD COLUMN asked bytea;
CREATE INDEX ledger_key ON ledger (namespace_id, key) WHERE key IS NOT NULL;
