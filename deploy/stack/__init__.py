"""The whole system on one machine: a PostgreSQL server, the ledger, its projector and the rating service."""
