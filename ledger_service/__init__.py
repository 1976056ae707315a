"""The ledger service: it owns wallets, grants, debits and what was agreed, in one append-only event store."""
