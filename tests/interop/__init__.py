"""Independent programs read what the ledger exports. `make interop` runs the checks; `make test` leaves them out."""
