"""Authorize and settle: one answer on limits, caps and credit before a request runs."""
