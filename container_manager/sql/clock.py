"""The database's clock: one expression for heartbeats, leases and deadlines, UTC whatever the server's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Func
from django.utils.dateparse import parse_datetime

NOW_SQL: Final = {
    "postgresql": "statement_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
}
"""The moment at which a statement with parameters runs, by vendor: a driver takes such a statement for a format."""


class DatabaseNow(Func):
    """
    The moment at which the statement runs, by the database's clock.

    Not ``Now()``: that is the start of the transaction on PostgreSQL and the session's
    time zone on MariaDB.
    """

    output_field = DateTimeField()
    template = "%(function)s"

    def compiled(self, connection: BaseDatabaseWrapper) -> tuple[str, tuple[()]]:
        """Its SQL, outside of any query."""
        return NOW_SQL[connection.vendor], ()

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template=NOW_SQL["postgresql"], **context)

    def as_mysql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        return super().as_sql(compiler, connection, template=NOW_SQL["mysql"], **context)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        # Escaped once more: the template is a format itself.
        return super().as_sql(compiler, connection, template=NOW_SQL["sqlite"].replace("%", "%%"), **context)


def database_now(using: str) -> datetime:
    """The database's time now, aware; one round trip."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {NOW_SQL[connection.vendor]}", [])
        value = cursor.fetchone()[0]
    return aware(value)


def aware(value: Any) -> datetime:
    """A time as a database's driver returns it where no field tells it what it is."""
    moment = parse_datetime(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise TypeError(f"{value!r} is no time")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
