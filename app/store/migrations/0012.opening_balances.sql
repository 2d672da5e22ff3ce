-- depends: 0011.import_leases

-- Whether a grant is an opening balance: a total without its history. Its windows are `all` alone, and it has no day. The hash
-- of a row covers the column only where it is true, so those of older rows stay as they are.
-- In user_buckets and namespace_buckets such a grant is counted in the hours of level 4, by granted time, and in no other level.
ALTER TABLE ledger ADD COLUMN opening boolean NOT NULL DEFAULT false;
CREATE OR REPLACE VIEW grant_revisions AS SELECT * FROM ledger WHERE kind IN ('grant', 'correction');
