"""Files of nouns and of comments: every write, and the gate to their bytes.

Who may see the noun may load its files; who may write comments may attach some.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import comments, file_kinds, file_store, ledger, nouns, settings_store
from tongchou.core.access import Actor, allows
from tongchou.core.models_talk import Attachment
from tongchou.core.problems import AccessDenied, Conflict, NotFound, TooLarge
from tongchou.core.refs import ref

MAX_BYTES = "attachments.max_bytes"
MAX_TOTAL_BYTES = "attachments.max_total_bytes"
KEEP_DELETED_DAYS = "attachments.keep_deleted_days"
MAX_STAGED = 40
STAGED_FOR = timedelta(days=1)


def listing(actor: Actor, on: str) -> QuerySet[Attachment]:
    """Return the files of a noun, those of its comments too, oldest first. NotFound for what is not to be seen."""
    row = nouns.row(actor, on)
    return _shown().filter(on=ref(row)).select_related("uploaded_by")


def _shown() -> QuerySet[Attachment]:
    """Files people may see: not deleted, not of a comment that was taken back or hidden, not waiting for one."""
    gone = Q(comment__deleted_at__isnull=False) | Q(comment__hidden_at__isnull=False)
    return Attachment.objects.filter(deleted_at__isnull=True, staged=False).exclude(gone)


def get(actor: Actor, attachment_id: UUID) -> Attachment:
    """Return one file; NotFound when it is not there or its noun is not to be seen: nobody can tell which.

    One's own, and for a moderator every deleted one, may be got back.
    """
    mine = Q(uploaded_by_id=actor.user_id) if actor.user_id is not None else Q(pk__isnull=True)
    if allows(actor, comments.MODERATE):
        mine |= Q(staged=False)
    row = Attachment.objects.filter(mine | Q(pk__in=_shown().values("pk")), pk=attachment_id).first()
    if row is not None and nouns.sees(actor, row.on):
        return row
    raise NotFound(
        "file.unknown",
        _("There is no such file, or your teams do not own what it belongs to."),
        field="file",
        value=str(attachment_id),
        remedy=_("Reload the page."),
    )


def check_room(actor: Actor, on: str, size: int) -> int:
    """Return how many bytes the next file may have; refuse one of `size` bytes (0: not known) before it is read."""
    row = nouns.row(actor, on)
    comments.check_write(actor)
    most = int(settings_store.get(MAX_BYTES))
    if size > most:
        raise file_store.too_large(most)
    total = int(settings_store.get(MAX_TOTAL_BYTES))
    used = Attachment.objects.filter(on=ref(row), deleted_at__isnull=True).aggregate(used=Sum("size"))["used"] or 0
    if used + max(size, 1) > total:
        raise TooLarge(
            "file.quota",
            _("The files of one thing have at most %(total)s bytes; %(used)s are used.")
            % {"total": f"{total:,}", "used": f"{used:,}"},
            field="file",
            value=size or None,
            remedy=_("Delete files that are no longer needed, or ask for a higher attachments.max_total_bytes."),
        )
    return min(most, total - used)


def add(
    *, actor: Actor, on: str, name: str, chunks: Iterable[bytes], size: int = 0, staged: bool = False
) -> Attachment:
    """Attach a file to a noun the actor may see. Event attachment.added, for a `staged` one when its comment is sent.

    The bytes are durable before the row is written. Raises TooLarge, StorageFull, Conflict for too many staged ones.
    """
    most = check_room(actor, on, size)
    on = ref(nouns.row(actor, on))
    if staged and Attachment.objects.filter(uploaded_by_id=actor.user_id, staged=True).count() >= MAX_STAGED:
        raise Conflict(
            "file.staged",
            _("You have %(most)s files that wait for a comment.") % {"most": MAX_STAGED},
            field="file",
            remedy=_("Send or leave the comments they were meant for; unsent files are forgotten after a day."),
        )
    stored = file_store.write(chunks, most=most)
    sort = file_kinds.sort_of(stored.head, whole=stored.size <= file_kinds.HEAD_BYTES)
    with transaction.atomic():
        row = Attachment.objects.create(
            on=on,
            name=file_kinds.clean_name(name),
            sha256=stored.sha256,
            size=stored.size,
            content_type=sort.content_type,
            inline=sort.inline,
            uploaded_by_id=actor.user_id,
            uploaded_by_name=actor.name,
            staged=staged,
        )
        if not staged:
            _record(actor, row, "attachment.added")
    return row


def _record(actor: Actor, row: Attachment, verb: str) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=row.on,
        payload={"attachment": str(row.pk), "name": row.name, "size": row.size, "sha256": row.sha256},
    )


def content(row: Attachment) -> Iterator[bytes]:
    """Yield the bytes of a file that `get` returned."""
    return file_store.read(row.sha256)


def delete(*, actor: Actor, attachment: Attachment) -> Attachment:
    """Delete one's own file, or as a moderator anybody's; it may be restored for days. Event attachment.deleted."""
    return _mark(actor, attachment, deleted=True)


def restore(*, actor: Actor, attachment: Attachment) -> Attachment:
    """Undo `delete`. Event attachment.restored."""
    return _mark(actor, attachment, deleted=False)


def _mark(actor: Actor, attachment: Attachment, *, deleted: bool) -> Attachment:
    get(actor, attachment.pk)
    comments.check_write(actor)
    own = actor.user_id is not None and actor.user_id == attachment.uploaded_by_id
    if not own and not allows(actor, comments.MODERATE):
        raise AccessDenied(
            "file.not_yours",
            _("Only who attached a file, or an administrator, deletes it."),
            remedy=_("Ask them."),
        )
    with transaction.atomic():
        rows = Attachment.objects.filter(pk=attachment.pk, deleted_at__isnull=deleted)
        if rows.update(deleted_at=timezone.now() if deleted else None) and not attachment.staged:
            _record(actor, attachment, "attachment.deleted" if deleted else "attachment.restored")
    attachment.refresh_from_db()
    return attachment


def tidy() -> None:
    """Forget files deleted long ago and those whose comment was never sent; then contents nobody points at."""
    now = timezone.now()
    long_ago = now - timedelta(days=settings_store.get(KEEP_DELETED_DAYS))
    Attachment.objects.filter(deleted_at__lt=long_ago).delete()
    Attachment.objects.filter(staged=True, created_at__lt=now - STAGED_FOR).delete()
    file_store.clean(set(Attachment.objects.values_list("sha256", flat=True)))
