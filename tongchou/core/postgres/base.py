"""Django's PostgreSQL backend plus a limit on how long one answer is waited for.

A server that is paused, or a network that swallows packets, keeps the connection open and says nothing: the kernel
acknowledges, statement_timeout needs a server that runs. So the client itself stops waiting, closes the connection and
raises OperationalError, which requests, jobs and duties already know how to meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout

RV = TypeVar("RV")

_unlimited: ContextVar[bool] = ContextVar("unlimited", default=False)


@contextmanager
def unlimited() -> Iterator[None]:
    """Wait as long as it takes: for migrations and for the turn to make them."""
    token = _unlimited.set(True)
    try:
        yield
    finally:
        _unlimited.reset(token)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose every wait ends after settings.DATABASE_TIMEOUT_SECONDS."""

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer. Raises OperationalError, with the connection closed, when there is none in time."""
        if timeout is None and not _unlimited.get():
            timeout = settings.DATABASE_TIMEOUT_SECONDS
        try:
            return super().wait(gen, interval, timeout)
        except _WaitTimeout:
            self.pgconn.finish()  # what the server may still say is not waited for
            raise psycopg.OperationalError(f"PostgreSQL did not answer within {timeout:g} s") from None


class _Database:
    """The psycopg module as Django sees it, with `connect` of ours."""

    connect = staticmethod(BoundedConnection.connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """The wrapper Django looks for."""

    Database = _Database()  # type: ignore[assignment]  # Django types the module it imports; it needs its names only
