"""The command line of the ledger."""
