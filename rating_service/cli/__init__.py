"""The `rating` command line."""
