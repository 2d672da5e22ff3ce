"""Redis and Postgres as they are spoken to: connections, pools, scripts, and fair turns of those who wait."""
