"""Issued documents as values and as bytes: invoices, credit notes, their lines, and what the ledger is told."""
