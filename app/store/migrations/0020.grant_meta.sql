-- depends: 0019.archive_sums

-- What a grant carries stands under the grant's own place: a seq alone is that of another grant in another partition.
ALTER TABLE grant_meta ADD COLUMN partition smallint, ADD COLUMN epoch integer;
UPDATE grant_meta m SET partition = l.partition, epoch = l.epoch FROM (
    SELECT DISTINCT ON (namespace_id, seq) namespace_id, seq, partition, epoch FROM ledger
    WHERE kind = 'grant' ORDER BY namespace_id, seq, recorded_at) AS l
WHERE l.namespace_id = m.namespace_id AND l.seq = m.seq;
DELETE FROM grant_meta WHERE partition IS NULL;
ALTER TABLE grant_meta DROP CONSTRAINT grant_meta_pkey, ADD PRIMARY KEY (partition, epoch, seq);
