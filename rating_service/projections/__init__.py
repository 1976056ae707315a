"""Following the ledger's history: read facts, then follower."""
