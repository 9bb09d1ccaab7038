"""Comments on any noun: every write, and what a reader may see of them.

Who may see the noun reads them. Who has the role operator anywhere writes; viewers too where the run-time setting
`comments.viewers_may_write` lets them. The ledger keeps who wrote, when, and the SHA-256 of the text, never the text:
what is taken back or hidden is then hidden everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import audience, ledger, mentions, nouns, settings_store
from tongchou.core.access import Actor, allows, check, check_anywhere, check_own
from tongchou.core.models import Event
from tongchou.core.models_talk import Attachment, Comment, CommentEdition
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound
from tongchou.core.refs import ref

EDIT = "comments.edit"
MODERATE = "comments.moderate"
VIEWERS_MAY_WRITE = "comments.viewers_may_write"
MAX_BYTES = 20_000
MAX_FILES = 10
MAX_REASON = 500
UNDO = timedelta(hours=1)


def may_write(actor: Actor) -> bool:
    """Tell whether the actor may write on what they may see."""
    try:
        check_write(actor)
    except AccessDenied:
        return False
    return True


def check_write(actor: Actor) -> None:
    """Raise AccessDenied unless the actor may write on what they may see."""
    if actor.kind != "system" and actor.user_id is not None and settings_store.get(VIEWERS_MAY_WRITE):
        check_own(actor, EDIT)
        return
    check_anywhere(actor, EDIT)


def listing(actor: Actor, on: str) -> QuerySet[Comment]:
    """Return the comments on a noun the actor may see, oldest first, replies among them. NotFound for another."""
    row = nouns.row(actor, on)
    return Comment.objects.filter(on=ref(row)).select_related("author").prefetch_related("attachments")


def get(actor: Actor, comment_id: UUID) -> Comment:
    """Return one comment; NotFound when it is not there or its noun is not to be seen: nobody can tell which."""
    row = Comment.objects.filter(pk=comment_id).select_related("author").first()
    if row is not None and nouns.sees(actor, row.on):
        return row
    raise NotFound(
        "comment.unknown",
        _("There is no such comment, or your teams do not own what it is about."),
        field="comment",
        value=str(comment_id),
        remedy=_("Reload the page."),
    )


def told_by(events: Iterable[Event]) -> dict[int, Comment]:
    """Return the shown comments that events comment.added tell of, by the event's id. At most one query."""
    wanted = {each.pk: str(each.payload.get("comment")) for each in events if each.verb == "comment.added"}
    if not wanted:
        return {}
    rows = {str(row.pk): row for row in Comment.objects.filter(pk__in=wanted.values()) if row.shown}
    return {event_id: rows[comment_id] for event_id, comment_id in wanted.items() if comment_id in rows}


def add(
    *, actor: Actor, on: str, text: str, reply_to: UUID | None = None, files: Sequence[UUID] = ()
) -> tuple[Comment, Event]:
    """Write a comment on a noun the actor may see. Event comment.added.

    `files` are the actor's own attachments uploaded for it. Raises Invalid for no text, too much of it, a name that may
    not see the noun, or a reply to another noun's comment.
    """
    row = nouns.row(actor, on)
    check_write(actor)
    on = ref(row)
    text = _checked(text, bare=bool(files))
    parent = _parent(on, reply_to)
    told = audience.mentioned(on, mentions.names(text))
    with transaction.atomic():
        comment = Comment.objects.create(
            on=on,
            parent=parent,
            author_id=actor.user_id,
            author_name=actor.name,
            text=text,
            mentions=told.names,
        )
        _take_files(actor, comment, files)
        event = _record(actor, comment, "comment.added", told)
    return comment, event


def _record(actor: Actor, comment: Comment, verb: str, told: audience.Told) -> Event:
    """The noun is the subject: who may not see it learns of no comment on it."""
    parent = comment.parent
    return ledger.record(
        actor=actor,
        verb=verb,
        subject=comment.on,
        payload={
            "comment": str(comment.pk),
            "version": comment.version,
            "sha256": hashlib.sha256(comment.text.encode()).hexdigest(),
            "mentions": [str(each) for each in told.users],
            "reply_to": str(parent.author_id) if parent is not None and parent.author_id else None,
        },
        dedupe_key=f"{verb}:{comment.pk}:{comment.version}" if verb in ("comment.added", "comment.edited") else None,
    )


def _checked(text: str, *, bare: bool = False) -> str:
    text = text.replace("\r\n", "\n").strip()
    size = len(text.encode("utf-8", "surrogatepass"))
    if (not text and not bare) or size > MAX_BYTES or "\0" in text:
        raise Invalid(
            "comment.text",
            _("A comment has 1 to %(most)s bytes of text; this one has %(size)s.")
            % {"most": f"{MAX_BYTES:,}", "size": f"{size:,}"},
            field="text",
            remedy=_("Write a shorter one, or attach the text as a file."),
        )
    return text


def _parent(on: str, reply_to: UUID | None) -> Comment | None:
    if reply_to is None:
        return None
    row = Comment.objects.filter(pk=reply_to, on=on).select_related("parent").first()
    if row is None:
        raise Invalid(
            "comment.reply_to",
            _("What you answer is not a comment on the same thing."),
            field="reply_to",
            value=str(reply_to),
            remedy=_("Reload the page and answer again."),
        )
    return row.parent or row  # one level: an answer to an answer stands beside it


def _take_files(actor: Actor, comment: Comment, files: Sequence[UUID]) -> None:
    if not files:
        return
    wanted = set(files)
    if len(wanted) > MAX_FILES:
        raise Invalid(
            "comment.files",
            _("A comment has at most %(most)s files.") % {"most": MAX_FILES},
            field="files",
            value=len(wanted),
            remedy=_("Attach the others to a second comment."),
        )
    mine = Attachment.objects.filter(
        pk__in=wanted, on=comment.on, uploaded_by_id=actor.user_id, staged=True, deleted_at__isnull=True
    )
    if mine.update(comment=comment, staged=False) != len(wanted):
        raise Invalid(
            "comment.files",
            _("A file of this comment is no longer there."),
            field="files",
            remedy=_("Attach it again; your text is kept."),
        )


def edit(*, actor: Actor, comment: Comment, text: str, version: int) -> Comment:
    """Change one's own comment; the text before is kept as an edition. Event comment.edited; nothing for the same."""
    _check_own(actor, comment)
    text = _checked(text, bare=comment.attachments.exists())
    told = audience.mentioned(comment.on, mentions.names(text))
    if text == comment.text:
        return comment
    before, now = comment.text, timezone.now()
    written = comment.edited_at or comment.created_at
    with transaction.atomic():
        won = Comment.objects.filter(pk=comment.pk, version=version, deleted_at__isnull=True).update(
            text=text, mentions=told.names, version=version + 1, edited_at=now
        )
        if not won:
            raise Conflict(
                "comment.version",
                _("The comment was changed or deleted meanwhile."),
                field="version",
                value=version,
                remedy=_("Copy your text, reload the page and edit again."),
            )
        CommentEdition.objects.create(comment=comment, version=version, text=before, written_at=written)
        fresh = set(told.names) - set(comment.mentions)
        comment.refresh_from_db()
        _record(actor, comment, "comment.edited", audience.mentioned(comment.on, sorted(fresh)))
    return comment


def _check_own(actor: Actor, comment: Comment) -> None:
    get(actor, comment.pk)
    check_write(actor)
    if actor.user_id is None or actor.user_id != comment.author_id:
        raise AccessDenied(
            "comment.not_yours",
            _("Only its author changes a comment."),
            remedy=_("Answer it, or ask an administrator to hide it."),
        )


def delete(*, actor: Actor, comment: Comment) -> Comment:
    """Take one's own comment back; it may be restored for an hour. Event comment.deleted."""
    _check_own(actor, comment)
    return _mark(actor, comment, "comment.deleted", was_deleted=False)


def restore(*, actor: Actor, comment: Comment) -> Comment:
    """Undo `delete`, within the hour. Event comment.restored."""
    _check_own(actor, comment)
    if comment.deleted_at is not None and timezone.now() - comment.deleted_at > UNDO:
        raise Conflict(
            "comment.undo",
            _("A deleted comment can be restored for an hour."),
            field="comment",
            value=str(comment.pk),
            remedy=_("Write it again."),
        )
    return _mark(actor, comment, "comment.restored", was_deleted=True)


def _mark(actor: Actor, comment: Comment, verb: str, *, was_deleted: bool) -> Comment:
    with transaction.atomic():
        rows = Comment.objects.filter(pk=comment.pk, deleted_at__isnull=not was_deleted)
        if rows.update(deleted_at=None if was_deleted else timezone.now()):
            _record(actor, comment, verb, audience.NOBODY_TOLD)
    comment.refresh_from_db()
    return comment


def hide(*, actor: Actor, comment: Comment, reason: str) -> Comment:
    """Hide somebody's text from everyone, with a reason that stands in its place. Event comment.hidden."""
    get(actor, comment.pk)
    check(actor, MODERATE)
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON:
        raise Invalid(
            "comment.reason",
            _("Hiding needs a reason of 1 to %(most)s characters.") % {"most": MAX_REASON},
            field="reason",
            value=reason[:80],
            remedy=_("Say why; the reason stands where the comment was."),
        )
    with transaction.atomic():
        now = timezone.now()
        if Comment.objects.filter(pk=comment.pk, hidden_at__isnull=True).update(
            hidden_at=now, hidden_by_name=actor.name, hidden_reason=reason
        ):
            ledger.record(
                actor=actor,
                verb="comment.hidden",
                subject=comment.on,
                payload={"comment": str(comment.pk), "reason": reason, "author": comment.author_name},
            )
    comment.refresh_from_db()
    return comment


def unhide(*, actor: Actor, comment: Comment) -> Comment:
    """Show a hidden comment again. Event comment.unhidden."""
    get(actor, comment.pk)
    check(actor, MODERATE)
    with transaction.atomic():
        if Comment.objects.filter(pk=comment.pk, hidden_at__isnull=False).update(
            hidden_at=None, hidden_by_name="", hidden_reason=""
        ):
            _record(actor, comment, "comment.unhidden", audience.NOBODY_TOLD)
    comment.refresh_from_db()
    return comment


def editions(actor: Actor, comment: Comment) -> list[CommentEdition]:
    """Return the earlier texts, newest first; none of a comment that is deleted or hidden, but to a moderator."""
    get(actor, comment.pk)
    return list(comment.editions.all()) if comment.shown or allows(actor, MODERATE) else []
