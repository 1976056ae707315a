"""The rating service on a real database and a real channel, with a ledger in memory."""
