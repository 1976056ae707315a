"""Billing, invoices and credit notes on the command line, and the pages they are printed as."""
