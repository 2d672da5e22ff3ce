-- depends: 0001.ledger

-- The key led by the user serves "every standing of a user" too: one index less to move with each score.
ALTER TABLE standings DROP CONSTRAINT standings_pkey;
DROP INDEX standings_user;
ALTER TABLE standings ADD PRIMARY KEY (user_number, namespace_id, "window");
