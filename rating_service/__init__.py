"""The rating service: prices usage, posts it to the ledger, and turns the ledger's history into invoices."""
