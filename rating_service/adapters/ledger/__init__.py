"""The ledger over gRPC: its commands, its history, its holds and its records."""
