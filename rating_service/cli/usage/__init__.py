"""Usage on the command line: recorded, authorized, kept in quarantine, reported."""
