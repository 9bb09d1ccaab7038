"""Databases with all tables and no rows, made once for all processes of a run (bin/test) or once for one process.

SQLite: PREPARED_DATABASE is a file to be copied. PostgreSQL: PREPARED_TEMPLATE is a database to be created from.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from django.db import connection

FILE = os.environ.get("PREPARED_DATABASE", "")
TEMPLATE = os.environ.get("PREPARED_TEMPLATE", "")


@cache
def database() -> Path:
    """Return the SQLite database to copy; without a prepared one it is made now."""
    if FILE:
        return Path(FILE)
    folder = Path(tempfile.mkdtemp(prefix="tongchou-prepared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TONGCHOU_")}
    environment |= {"TONGCHOU_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "tongchou.settings"}
    program = [sys.executable, "-m", "tongchou.cli.main", "migrate"]
    subprocess.run(program, env=environment, check=True, timeout=300, stdout=subprocess.DEVNULL)
    return folder / "tongchou.sqlite3"


def copy_to(path: Path) -> None:
    """Put a copy at path, for which a former database of that name may have left its log.

    Django removes the file alone. A process that ended with connections open leaves the log of what it wrote last, and
    SQLite would play that into whatever stands there next: "database disk image is malformed".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for remains in ("-wal", "-shm", "-journal"):
        path.with_name(path.name + remains).unlink(missing_ok=True)
    shutil.copyfile(database(), path)


def use() -> None:
    """Let the tests' own database begin as a copy: Django then finds nothing left to migrate."""
    if connection.vendor == "postgresql":
        connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE or None
        return
    creation = connection.creation
    create = creation._create_test_db

    def copied(verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name = str(create(verbosity, autoclobber, keepdb))
        if not keepdb:
            copy_to(Path(name))
        return name

    creation._create_test_db = copied
