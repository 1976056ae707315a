"""Reads of the books: by day from the journal, or folded anew from the log."""
