"""The contract tests run on a real PostgreSQL."""

from tests.postgres import database_url, postgres_server

__all__ = ["database_url", "postgres_server"]
