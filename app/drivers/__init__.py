"""How Redis and Postgres are spoken to: connections, pools, scripts, and fair turns for waiting clients."""
