"""What a restore replaces, moved out of the way and never deleted; and back again when a later step fails."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from django.db import DatabaseError, connection, connections, transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core.backup.build import key_files
from tongchou.core.problems import Conflict, Unavailable

log = logging.getLogger(__name__)


class Aside:
    """Files and folders, and the schema of a PostgreSQL database, from `with` until `keep` or the end.

    Refuses (Conflict) what has content unless `force`, before anything is moved.
    """

    def __init__(self, places: list[Path], stamp: str, *, force: bool) -> None:
        self._places, self._stamp, self._kept = places, stamp, False
        self._moved: list[tuple[Path, Path]] = []
        self._schema = Schema(stamp) if connection.vendor == "postgresql" else None
        full = [each for each in places if _has_content(each) and each not in key_files().values()]
        if full and not force:
            raise Conflict(
                "restore.not_empty",
                _("There is data already: %(paths)s") % {"paths": ", ".join(str(each) for each in full[:4])},
                remedy=_("Restore into an empty data folder, or use --force, which moves what is there aside."),
            )
        if self._schema is not None and self._schema.tables and not force:
            raise Conflict(
                "restore.not_empty",
                _("The PostgreSQL database has %(count)d tables already.") % {"count": len(self._schema.tables)},
                remedy=_("Restore into an empty database, or use --force, which renames the schema that is there."),
            )

    @property
    def moved_to(self) -> list[str]:
        """Where what was there is now, for people."""
        schema = self._schema.aside if self._schema is not None else ""
        return [*(str(aside) for _place, aside in self._moved), *([f"PostgreSQL schema {schema}"] if schema else [])]

    def __enter__(self) -> Aside:
        connections.close_all()
        try:
            for place in self._places:
                if place.exists():
                    aside = place.with_name(f"{place.name}.{self._stamp}")
                    place.rename(aside)
                    self._moved.append((place, aside))
        except OSError as error:
            self._rename_back()  # what was not moved is the old data still
            raise Unavailable(
                "restore.not_moved",
                _("%(path)s cannot be moved aside: %(error)s") % {"path": place, "error": error.strerror or error},
                remedy=_("A mount point cannot be renamed: point the setting at a folder inside it."),
            ) from error
        if self._schema is not None:
            try:
                self._schema.make_room()
            except DatabaseError as error:
                self._rename_back()
                raise Unavailable(
                    "restore.not_moved",
                    _("The schema %(name)s cannot be renamed: %(error)s")
                    % {"name": self._schema.name, "error": str(error).strip()},
                    remedy=_("Let the database's user own it, or restore into a new, empty database."),
                ) from error
        return self

    def keep(self) -> None:
        """What is in place now is good."""
        self._kept = True

    def __exit__(self, *_error: object) -> None:
        connections.close_all()
        if not self._kept:
            try:
                if self._schema is not None:
                    self._schema.back()
            finally:
                self._files_back()

    def _files_back(self) -> None:
        """Each place by itself: what cannot be put back keeps no other from it, and is told. Raises Unavailable."""
        stuck: list[str] = []
        for place in self._places:
            try:
                if place.is_dir():
                    shutil.rmtree(place)  # what this restore itself had begun to write
                else:
                    place.unlink(missing_ok=True)
            except OSError as error:
                stuck.append(f"{place}: {error}")
        self._rename_back(stuck)

    def _rename_back(self, stuck: list[str] | None = None) -> None:
        """What was moved aside gets its name again. Raises Unavailable that names what could not, and `stuck`."""
        stuck = stuck or []
        for place, aside in self._moved:
            try:
                aside.rename(place)
            except OSError as error:
                stuck.append(f"{aside}: {error}")
        self._moved.clear()
        if stuck:
            raise Unavailable(
                "restore.not_put_back",
                _("The restore broke off, and not everything could be put back: %(what)s.")
                % {"what": "; ".join(stuck)},
                remedy=_("Mend the disk, then move the folders named *.before-restore-* back by hand."),
            )


def _has_content(path: Path) -> bool:
    if path.is_dir():
        return any(each.is_file() for each in path.rglob("*"))
    return path.exists() and path.stat().st_size > 0


class Schema:
    """The PostgreSQL schema that this installation uses. `aside` is its name after `make_room`, "" if it was empty."""

    def __init__(self, stamp: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            self.name = str(cursor.fetchone()[0])
        self.tables = self._tables()
        self.aside = ""
        self._later = f"{self.name}_{stamp}".replace("-", "_").lower()

    def _tables(self) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = %s AND table_type = 'BASE TABLE'",
                [self.name],
            )
            return [name for (name,) in cursor.fetchall()]

    def make_room(self) -> None:
        """Rename what is there and make an empty schema of that name."""
        if not self.tables:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f'ALTER SCHEMA "{self.name}" RENAME TO "{self._later}"')
            cursor.execute(f'CREATE SCHEMA "{self.name}"')
        self.aside = self._later
        log.warning("what was in the database is in the schema %s now", self.aside)

    def back(self) -> None:
        """Drop what this restore itself wrote; what was there gets its name again. Raises Unavailable."""
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                if self.aside:
                    cursor.execute(f'DROP SCHEMA "{self.name}" CASCADE')
                    cursor.execute(f'ALTER SCHEMA "{self.aside}" RENAME TO "{self.name}"')
                elif written := self._tables():
                    listed = ", ".join(f'"{self.name}"."{each}"' for each in written)
                    cursor.execute(f"DROP TABLE {listed} CASCADE")
        except DatabaseError as error:
            if not self.aside:
                log.error("what the restore wrote could not be removed from the database: %s", error)
                return
            raise Unavailable(
                "restore.not_put_back",
                _("The restore failed, and the database did not let its old data be put back: %(error)s")
                % {"error": str(error).strip()},
                remedy=_('The old data is whole: drop the schema "%(name)s", then rename "%(aside)s" to "%(name)s".')
                % {"name": self.name, "aside": self.aside},
            ) from error
        if self.aside:
            log.warning("the restore failed: the schema %s is %s again", self.aside, self.name)
        self.aside = ""
