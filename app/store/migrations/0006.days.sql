-- depends: 0003.corrections

-- The day of a grant in its namespace's zone, where streaks are on.
ALTER TABLE ledger ADD COLUMN day date;
