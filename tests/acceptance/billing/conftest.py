"""The run's own PostgreSQL server."""

from tests.postgres import postgres_server

__all__ = ["postgres_server"]
