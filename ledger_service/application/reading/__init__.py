"""Reads of wallets and agreements: balances, statements, lists, and replays on either clock."""
