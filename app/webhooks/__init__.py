"""Webhooks: who is told by HTTP of what happens. Nobody else waits for it."""
