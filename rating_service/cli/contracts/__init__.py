"""Contracts and changes of plan on the command line."""
