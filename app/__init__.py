"""A realtime leaderboard server on Redis whose every number can be proven from an append-only ledger."""
