"""`python -m ledger_service`: the same command line as `ledger`."""

from ledger_service.cli.main import main

if __name__ == "__main__":
    main()
