"""The log into Postgres, in order and once."""
