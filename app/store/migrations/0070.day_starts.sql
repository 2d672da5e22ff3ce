-- depends: 0065.quarantine

-- A namespace may let its days begin later than at midnight: starts_at says how much, by the clock.
ALTER TABLE zone_days ADD COLUMN starts_at interval NOT NULL DEFAULT '0';
ALTER TABLE zone_days ALTER COLUMN starts_at DROP DEFAULT, DROP CONSTRAINT zone_days_pkey;
ALTER TABLE zone_days ADD PRIMARY KEY (zone, starts_at, starts);
