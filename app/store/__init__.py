"""Redis and Postgres: key names, scripts, connections, queries."""
