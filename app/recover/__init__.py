"""Puts back into Redis what the ledger holds."""
