-- depends: 0002.standings_key

-- `change` is what the entry moved on the `all` board; `score` is null where the user has left it. A correction's row
-- holds the grant as it is from then on: `value` its amount, `voided` whether it counts.
ALTER TABLE ledger ALTER COLUMN score DROP NOT NULL;
ALTER TABLE ledger ADD COLUMN change bigint NOT NULL DEFAULT 0;
ALTER TABLE ledger ADD COLUMN value bigint;
ALTER TABLE ledger ADD COLUMN voided boolean NOT NULL DEFAULT false;
ALTER TABLE ledger ADD COLUMN verb text;
ALTER TABLE ledger ADD COLUMN reason text;
ALTER TABLE ledger ADD COLUMN actor text;
ALTER TABLE ledger ADD COLUMN key text;
UPDATE ledger SET change = amount, value = CASE WHEN kind = 'grant' THEN amount END;
