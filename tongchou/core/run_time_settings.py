"""What an operator may change about core while the platform runs."""

from __future__ import annotations

import re
from pathlib import Path

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import attachments, comments, inbox, inbox_mail
from tongchou.core.backup.schedule import parse_times
from tongchou.core.field_definitions import KEEP_DAYS
from tongchou.core.settings_store import register

MEGABYTE = 1_000_000
MAX_FILE = 100 * MEGABYTE
_DOMAINS = re.compile(r"\A[a-z0-9.-]+(?: *, *[a-z0-9.-]+)*\Z")


def _file_bytes(value: int) -> str | Promise | None:
    return None if 1000 <= value <= MAX_FILE else _("A number of bytes from 1,000 to 100,000,000.")


def _total_bytes(value: int) -> str | Promise | None:
    return None if 1000 <= value <= 5000 * MAX_FILE else _("A number of bytes from 1,000 to 500,000,000,000.")


def _domains(value: str) -> str | Promise | None:
    return None if not value or _DOMAINS.match(value) else _("Domains by commas, e.g. example.org; empty for any.")


def _days(value: int) -> str | Promise | None:
    return None if 1 <= value <= 3650 else _("A number of days from 1 to 3650.")


def _times(value: str) -> str | Promise | None:
    return _("A time of day such as 02:30 is wanted, or several with commas.") if parse_times(value) is None else None


def _folder(value: str) -> str | Promise | None:
    if not value or (Path(value).is_absolute() and ".." not in Path(value).parts and Path(value).is_dir()):
        return None
    return _("The full path of a folder that exists on the server is wanted.")


def _megabytes(value: int) -> str | Promise | None:
    return None if 0 <= value <= 1_000_000_000 else _("A number of megabytes is wanted; 0 means no limit.")


def _count(value: int) -> str | Promise | None:
    return None if 0 <= value <= 366 else _("A number from 0 to 366 is wanted.")


register(
    KEEP_DAYS, int, 30, _("How many days a deleted custom field can be put back, with its values."), validate=_days
)
register(
    "backup.times",
    str,
    "",
    _("When backups are made each day, in the server's time zone, e.g. 02:30. Empty: never."),
    validate=_times,
)
register(
    "backup.folder",
    str,
    "",
    _("The folder that backups go to, best on another disk. Empty: the one of TONGCHOU_BACKUP_FOLDER."),
    validate=_folder,
)
register(
    "backup.passphrase_secret",
    str,
    "",
    _("The secret whose value encrypts backups (12 characters or more). Empty: they are not encrypted."),
)
register("backup.with_keys", bool, True, _("Whether encrypted backups hold the key files too."))
register("backup.keep_daily", int, 7, _("Days of which the newest scheduled backup is kept."), validate=_count)
register("backup.keep_weekly", int, 4, _("Weeks of which the newest scheduled backup is kept."), validate=_count)
register("backup.keep_monthly", int, 3, _("Months of which the newest scheduled backup is kept."), validate=_count)
register(comments.VIEWERS_MAY_WRITE, bool, False, _("Viewers may write comments and attach files, too."))
register(attachments.MAX_BYTES, int, 20 * MEGABYTE, _("Largest file, in bytes."), validate=_file_bytes)
register(
    attachments.MAX_TOTAL_BYTES, int, 500 * MEGABYTE, _("Most bytes of files on one thing."), validate=_total_bytes
)
register(
    attachments.KEEP_DELETED_DAYS, int, 30, _("Days a deleted file can be restored; then it is gone."), validate=_days
)
register(inbox.KEEP_DAYS, int, 90, _("Days rows of inboxes are kept that wait for nobody."), validate=_days)
register(inbox_mail.CHANNEL, str, "", _("Mail channel (kind smtp) that sends inboxes; empty: none is sent."))
register(inbox_mail.DOMAINS, str, "", _("Domains inboxes may be mailed to, by commas; empty: any."), validate=_domains)
register(
    "storage.budget_mb",
    int,
    0,
    _("The megabytes all data together is meant to take; the page of storage says when. 0: the disk is the limit."),
    validate=_megabytes,
)
register(
    "storage.reserve_mb",
    int,
    256,
    _("Megabytes of the disk that samples and log lines leave free (at most a twentieth of the disk). 0: none."),
    validate=_megabytes,
)
register("storage.warn_days", int, 14, _("Warn when the room lasts fewer days than this."), validate=_count)
