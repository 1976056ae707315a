"""Where the services keep their data: databases that the caller named, or those of an embedded server.

Owns what may be wrong with either, and says so by the variable that must be changed. No text here repeats a
connection string, because it may hold a password.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from uuid import uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from deploy.stack.processes import StackError

VERSION_MIN: Final = 15
CONNECT_SECONDS_MAX: Final = 5


def check_url(url: str, *, variable: str) -> None:
    """Raise StackError unless the database of a connection string answers and is new enough."""
    with connect(url, variable=variable) as connection:
        version = connection.info.server_version // 10_000
    if version < VERSION_MIN:
        raise StackError(f"{variable}: the server is PostgreSQL {version}; {VERSION_MIN} or newer is needed")


@contextmanager
def connect(url: str, *, variable: str) -> Iterator[psycopg.Connection]:
    """Connect, outside any transaction. Raises StackError, which names the variable."""
    try:
        connection = psycopg.connect(url, connect_timeout=CONNECT_SECONDS_MAX, autocommit=True)
    except psycopg.OperationalError as cause:
        raise StackError(f"{variable}: the database cannot be reached: {first_line(cause)}") from None
    except psycopg.ProgrammingError:
        raise StackError(f"{variable}: this is not a PostgreSQL connection string") from None
    with connection:
        yield connection


@contextmanager
def temporary_database(url: str, *, variable: str) -> Iterator[str]:
    """Lend an empty database on the server of a connection string; it is dropped afterwards."""
    name = f"credits_demo_{uuid4().hex}"
    check_url(url, variable=variable)
    with ExitStack() as clean_up:
        with connect(url, variable=variable) as connection:
            try:
                connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            except psycopg.Error as cause:
                raise StackError(
                    f"{variable}: no database of its own can be made: {first_line(cause)}"
                ) from None
        clean_up.callback(drop_database, url, name, variable=variable)
        yield make_conninfo(url, dbname=name)


def drop_database(url: str, name: str, *, variable: str) -> None:
    """Drop a database, whoever is still connected to it."""
    with connect(url, variable=variable) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def first_line(cause: BaseException) -> str:
    """Return the first line of an error."""
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]
