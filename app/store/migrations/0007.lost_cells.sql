-- depends: 0006.persisters

-- What the ledger lacks of users, as Redis had it when `leaderboard rebuild --from-redis` recorded it: beside a ledger row of
-- the kind `loss`, with that row's seq, from which on it counts. cells: by the names of app/model/user_cells.py; of sums
-- and counts what is missing, of anything else the value (app/model/lost_cells.py). The row's digest is over this text.
CREATE TABLE lost_cells (
    namespace_id integer NOT NULL,
    user_number bigint NOT NULL,
    seq bigint NOT NULL,
    cells json NOT NULL,
    PRIMARY KEY (namespace_id, user_number, seq)
);
