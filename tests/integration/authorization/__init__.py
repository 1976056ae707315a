"""Authorize and Settle on a real ledger and a real rating service."""
