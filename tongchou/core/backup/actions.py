"""Ask for a backup, make it, check it, let old ones go; each told in the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, secrets, settings_store
from tongchou.core.access import Actor, check, system
from tongchou.core.backup import archive, crypt
from tongchou.core.backup.build import build, file_name, problem_facts, verify
from tongchou.core.backup.schedule import kept, latest_due, parse_times
from tongchou.core.jobs import enqueue, job
from tongchou.core.log_lines import masked
from tongchou.core.models import SettingChange
from tongchou.core.models_backups import Backup, BackupState
from tongchou.core.problems import Conflict, NotFound, Problem, Unavailable
from tongchou.core.refs import ref

T = TypeVar("T")

MANAGE = "backups.manage"
RUN_JOB, VERIFY_JOB = "core.backup", "core.backup_verify"
LONGEST = timedelta(hours=6)
OPEN = (BackupState.QUEUED, BackupState.RUNNING)
_TELL_SECONDS = 1.0
_ONCE = "backup.once."
_INSIST_SECONDS = 120.0  # a restart of PostgreSQL takes less
_AGAIN_SECONDS = 1.0
_MOST_TOLD = 400

log = logging.getLogger(__name__)


def folder() -> Path:
    """Return where backups of the running server go."""
    chosen = str(settings_store.get("backup.folder") or "")
    return Path(chosen) if chosen else Path(settings.BACKUP_FOLDER)


def request(
    *, actor: Actor, reason: str = "manual", passphrase: str | None = None, with_keys: bool | None = None
) -> Backup:
    """Queue a backup. `passphrase` encrypts this one; without it the setting `backup.passphrase_secret` decides.

    Keys go into encrypted backups when the setting `backup.with_keys` (or `with_keys`) says so. Event backup.requested.
    """
    check(actor, MANAGE)
    if passphrase is not None:
        _key_of(passphrase)
    row = Backup(reason=reason, requested_by_name=actor.name)
    row.key_name = f"{_ONCE}{row.pk}" if passphrase else str(settings_store.get("backup.passphrase_secret") or "")
    row.encrypted = bool(row.key_name)
    wanted = bool(settings_store.get("backup.with_keys")) if with_keys is None else with_keys
    row.with_keys = wanted and (row.encrypted or with_keys is True)
    with transaction.atomic():
        under_way = Backup.objects.filter(state__in=OPEN, created_at__gt=timezone.now() - LONGEST).first()
        if under_way is not None:
            raise Conflict(
                "backup.under_way",
                _("A backup is under way since %(at)s.") % {"at": under_way.created_at.isoformat(timespec="seconds")},
                remedy=_("Wait for it."),
            )
        if passphrase is not None:
            secrets.put(actor=system(actor.name), name=row.key_name, value=passphrase)
        row.save(force_insert=True)
        facts = {"reason": reason, "encrypted": row.encrypted, "with_keys": row.with_keys}
        ledger.record(actor=actor, verb="backup.requested", subject=ref(row), payload=facts)
        enqueue(RUN_JOB, {"backup": str(row.pk)}, unique_key=f"{RUN_JOB}:{row.pk}")
    return row


def request_verify(*, actor: Actor, backup: Backup) -> None:
    """Queue a check of a backup's file."""
    check(actor, MANAGE)
    find_file(backup)
    with transaction.atomic():
        enqueue(VERIFY_JOB, {"backup": str(backup.pk)}, unique_key=f"{VERIFY_JOB}:{backup.pk}")


def find_file(backup: Backup) -> Path:
    """Return the path of a backup's file. Raises NotFound when it is not there."""
    path = Path(backup.path)
    if backup.state != BackupState.DONE or not backup.path or not path.is_file():
        raise NotFound(
            "backup.no_file",
            _("The file of this backup is not there."),
            remedy=_("Take another backup of the list."),
        )
    return path


def _key(row: Backup) -> crypt.Key | None:
    return _key_of(secrets.reveal(row.key_name)) if row.key_name else None


def _key_of(text: str) -> crypt.Key:
    """The key that a secret's text is: a passphrase, or `base64:` and the content of a key file."""
    return crypt.from_base64(text) if text.startswith("base64:") else crypt.from_passphrase(text)


def _teller(row: Backup) -> Callable[[str, int], None]:
    last = [0.0]

    def tell(what: str, done: int) -> None:
        if time.monotonic() - last[0] >= _TELL_SECONDS:
            last[0] = time.monotonic()
            Backup.objects.filter(pk=row.pk).update(progress={"file": what, "bytes": done})

    return tell


def _broke_off(payload: dict[str, Any], error: Exception) -> None:
    """End a backup that failed in a way nobody foresaw: a lost database, a column that cannot be packed."""
    row = _insist(lambda: Backup.objects.filter(pk=UUID(payload["backup"]), state__in=OPEN).first())
    if row is None:
        return
    told = masked(f"{type(error).__name__}: {error}".strip())[:_MOST_TOLD]
    problem = Unavailable(
        "backup.broken_off",
        _("The backup broke off: %(error)s") % {"error": told},
        remedy=_("Mend the cause and back up again; the server's log has the whole error."),
    )
    _failed(row, problem)


@job(RUN_JOB, max_attempts=1, timeout_seconds=LONGEST.total_seconds(), on_dead=_broke_off)
def run(payload: dict[str, Any]) -> None:
    """Make a requested backup; a restart in the middle makes it again. Event backup.made or backup.failed."""
    row = Backup.objects.filter(pk=UUID(payload["backup"]), state__in=OPEN).first()
    if row is None:
        return
    now = timezone.now()
    Backup.objects.filter(pk=row.pk).update(state=BackupState.RUNNING, started_at=now)
    target = folder() / file_name(now)
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = build(target, key=_key(row), with_keys=row.with_keys, reason=row.reason, progress=_teller(row))
    except Problem as problem:
        _failed(row, problem)
        return
    except OSError as error:
        _failed(row, archive.refusal(error, target.parent))
        return
    _made(row, made)
    let_go(actor=system("backup"))


def _insist(ask: Callable[[], T]) -> T:
    """Ask again while the database does not answer: it may be what broke the backup, and comes back."""
    until = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            return ask()
        except OperationalError:
            if time.monotonic() > until:
                raise
            if not connection.in_atomic_block:
                connection.close()  # it may be broken for good
            time.sleep(_AGAIN_SECONDS)


def _made(row: Backup, made: archive.Written) -> None:
    _insist(lambda: _write_made(row, made))


def _write_made(row: Backup, made: archive.Written) -> None:
    head = made.manifest["relational"]["ledger"]
    facts = {
        "version": made.manifest["version"],
        "rows": sum(made.manifest["relational"]["rows"].values()),
        "parts": made.manifest["parts"],
        "ledger": head,
    }
    with transaction.atomic():
        Backup.objects.filter(pk=row.pk).update(
            state=BackupState.DONE, path=str(made.path), size=made.size, sha256=made.sha256, facts=facts, progress={},
            finished_at=timezone.now(),
        )  # fmt: skip
        payload = {"file": made.path.name, "bytes": made.size, "sha256": made.sha256, "encrypted": row.encrypted}
        ledger.record(actor=system("backup"), verb="backup.made", subject=ref(row), payload={**payload, "ledger": head})
        _forget_key(row)


def _failed(row: Backup, problem: Problem) -> None:
    log.error("backup %s failed: %s", row.pk, problem)
    facts = problem_facts(problem)
    _insist(lambda: _write_failed(row, facts))


def _write_failed(row: Backup, facts: dict[str, str]) -> None:
    with transaction.atomic():
        Backup.objects.filter(pk=row.pk).update(
            state=BackupState.FAILED, problem=facts, progress={}, finished_at=timezone.now()
        )
        ledger.record(actor=system("backup"), verb="backup.failed", subject=ref(row), payload=facts)
        _forget_key(row)


def _forget_key(row: Backup) -> None:
    """The passphrase of one request is not kept: who asked knows it."""
    if row.key_name.startswith(_ONCE):
        secrets.delete(actor=system("backup"), name=row.key_name)
        Backup.objects.filter(pk=row.pk).update(key_name="")


@job(VERIFY_JOB, max_attempts=1, timeout_seconds=LONGEST.total_seconds())
def run_verify(payload: dict[str, Any]) -> None:
    """Read a backup whole and keep the verdict. Event backup.verified or backup.damaged."""
    row = Backup.objects.filter(pk=UUID(payload["backup"]), state=BackupState.DONE).first()
    if row is None:
        return
    facts: dict[str, str] = {}
    try:
        verify(find_file(row), key=_key(row))
    except Problem as problem:
        facts = problem_facts(problem)
    with transaction.atomic():
        Backup.objects.filter(pk=row.pk).update(verified_at=timezone.now(), verify_problem=facts)
        verb = "backup.damaged" if facts else "backup.verified"
        told = {"file": Path(row.path).name, **facts}
        ledger.record(actor=system("backup"), verb=verb, subject=ref(row), payload=told)


def let_go(*, actor: Actor) -> int:
    """Delete scheduled backups that the keep rule lets go; return how many. Manual ones stay. Event backup.pruned."""
    check(actor, MANAGE)
    rows = {each.created_at: each for each in Backup.objects.filter(state=BackupState.DONE, reason="scheduled")}
    stay = kept(
        list(rows),
        daily=int(settings_store.get("backup.keep_daily")),
        weekly=int(settings_store.get("backup.keep_weekly")),
        monthly=int(settings_store.get("backup.keep_monthly")),
        zone=zone(),
    )
    gone = [row for at, row in rows.items() if at not in stay]
    for row in gone:
        Path(row.path).unlink(missing_ok=True)
        with transaction.atomic():
            Backup.objects.filter(pk=row.pk).update(state=BackupState.GONE)
            told = {"file": Path(row.path).name}
            ledger.record(actor=actor, verb="backup.pruned", subject=ref(row), payload=told)
    return len(gone)


def zone() -> ZoneInfo:
    """Return the time zone of the schedule."""
    return ZoneInfo(settings.DEFAULT_USER_TIME_ZONE)


def start_due() -> bool:
    """Request the scheduled backup when its time has passed; what was missed while the server was down is made up."""
    text = str(settings_store.get("backup.times"))
    due = latest_due(parse_times(text) or [], zone(), timezone.now())
    if due is None:
        return False
    set_at = SettingChange.objects.filter(key="backup.times").order_by("-pk").values_list("changed_at", flat=True)
    if (newest := set_at.first()) is not None and due < newest:
        return False
    if Backup.objects.filter(reason="scheduled", created_at__gte=due).exists():
        return False
    try:
        request(actor=system("backup-schedule"), reason="scheduled")
    except Conflict:
        return False  # one is under way; the next turn asks again
    return True


def last_good() -> Backup | None:
    """Return the newest backup that was made and is still there."""
    return Backup.objects.filter(state=BackupState.DONE).order_by("-finished_at").first()
