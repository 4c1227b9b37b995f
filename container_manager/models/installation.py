"""Who this database is: the id in every execution's name, so that two installations never touch each other's."""

from __future__ import annotations

import secrets
import string

from django.db import connections, models
from django.utils import timezone

from container_manager import conf

ID_LENGTH = 8


def random_id() -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(ID_LENGTH))


def database_fingerprint(using: str) -> str:
    """
    What tells this database from a copy of it restored elsewhere.

    PostgreSQL: the cluster's system identifier and the database's oid. MariaDB: the name, and
    when this table was made, which a dump makes anew. Neither changes when a server moves
    to another host with its files, and a snapshot of all of a server's files is not told
    apart. SQLite: the file's path.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT (SELECT system_identifier FROM pg_control_system())::text || '/' || oid::text "
                "FROM pg_database WHERE datname = current_database()"
            )
        elif connection.vendor == "mysql":
            cursor.execute(
                "SELECT CONCAT(table_schema, '/', create_time) FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_name = %s",
                [Installation._meta.db_table],
            )
        else:
            return str(connection.settings_dict["NAME"])
        return str(cursor.fetchone()[0])


class Installation(models.Model):
    """One row: the id of this installation and the fingerprint of the database it was made in."""

    singleton = models.BooleanField(default=True, unique=True, editable=False)
    identifier = models.CharField(max_length=ID_LENGTH, default=random_id)
    fingerprint = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.identifier

    @classmethod
    def current(cls, using: str) -> Installation:
        """The row, made at first use; the setting ``INSTALLATION`` overrides its ``identifier`` in memory."""
        row, _ = cls.objects.using(using).get_or_create(
            singleton=True, defaults={"fingerprint": database_fingerprint(using)}
        )
        row.identifier = conf.get("INSTALLATION") or row.identifier
        return row

    def is_in_place(self, using: str) -> bool:
        """Whether the database is the one the row was made in, and not a copy of it."""
        return self.fingerprint == database_fingerprint(using)
