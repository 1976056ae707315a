"""Tests of the ledger's server: real processes, real PostgreSQL, real channels."""
