"""Is every number in Redis what the ledger says, and is the ledger whole?"""
