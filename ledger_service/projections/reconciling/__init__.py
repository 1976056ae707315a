"""The books held against the log, and their parts against each other."""
