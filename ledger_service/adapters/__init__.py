"""Adapters: the application's ports on PostgreSQL."""
