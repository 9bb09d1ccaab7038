"""Databases with all tables and no rows, made once for all processes of a run (bin/test): each took twelve seconds over it.

SQLite: PREPARED_DATABASE is a file to be copied. PostgreSQL: PREPARED_TEMPLATE is a database to be created from.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.db import connection

FILE = os.environ.get("PREPARED_DATABASE", "")
TEMPLATE = os.environ.get("PREPARED_TEMPLATE", "")


def use() -> None:
    """Let the tests' own database begin as a copy: Django then finds nothing left to migrate."""
    if connection.vendor == "postgresql":
        connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE or None
        return
    if not FILE:
        return
    creation = connection.creation
    create = creation._create_test_db

    def copied(verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name = str(create(verbosity, autoclobber, keepdb))
        if not keepdb:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FILE, name)
        return name

    creation._create_test_db = copied
