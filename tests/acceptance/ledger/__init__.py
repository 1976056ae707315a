"""Promises of the ledger under kills, races and fail-over."""
