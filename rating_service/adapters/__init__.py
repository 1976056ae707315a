"""Implementations of the application's ports: PostgreSQL and the ledger over gRPC."""
