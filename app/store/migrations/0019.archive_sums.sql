-- depends: 0015.veiled

-- What the keys of an archive and their squares add up to, whoever is shown: who is not is taken off when it is read.
ALTER TABLE archives ADD COLUMN keys_sum numeric NOT NULL DEFAULT 0, ADD COLUMN squares_sum numeric NOT NULL DEFAULT 0;
UPDATE archives a SET keys_sum = t.keys, squares_sum = t.squares
FROM (SELECT archive_id, sum(key) AS keys, sum(key::numeric * key) AS squares FROM archived GROUP BY archive_id) AS t
WHERE t.archive_id = a.id;
