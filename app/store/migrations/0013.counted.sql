-- depends: 0012.ranges

-- How far a partition's ledger is in the counts by time: what stood there when these were made is in them.
ALTER TABLE partitions ADD COLUMN counted_epoch integer NOT NULL DEFAULT 0;
ALTER TABLE partitions ADD COLUMN counted_seq bigint NOT NULL DEFAULT 0;
UPDATE partitions SET counted_epoch = epoch, counted_seq = seq;
