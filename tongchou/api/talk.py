"""Comments, watches, the inbox and attachments of any noun, by its Ref."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Router, Schema, Status
from ninja.files import UploadedFile
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.paging import Offset
from tongchou.core import attachments, comments, inbox, inbox_mail, watching
from tongchou.core.models_talk import Attachment, Comment, InboxItem, Watch

router = Router(tags=["collaboration"])
MAX_REF = 140


class NewCommentIn(Body):
    """A comment to write. `files`: attachments uploaded with staged=true that belong to it."""

    ref: str = Field(max_length=MAX_REF)
    text: str = Field(default="", max_length=comments.MAX_BYTES)
    reply_to: UUID | None = None
    files: list[UUID] = Field(default_factory=list, max_length=comments.MAX_FILES)


class CommentEdit(Body):
    """Another text; `version` is the one you read."""

    text: str = Field(max_length=comments.MAX_BYTES)
    version: int


class HideIn(Body):
    """Why it is hidden."""

    reason: str = Field(min_length=1, max_length=comments.MAX_REASON)


class AttachmentOut(Schema):
    """A file. `content_type` is what its bytes are; `picture`: pages show it. Its bytes: GET .../content."""

    id: UUID
    ref: str
    comment: UUID | None
    name: str
    size: int
    sha256: str
    content_type: str
    picture: bool
    uploaded_by: str
    created_at: datetime
    deleted: bool


class CommentOut(Schema):
    """A comment. `text` is empty while `deleted` or `hidden`; `mentions` are names as written."""

    id: UUID
    ref: str
    reply_to: UUID | None
    author: str
    text: str
    mentions: list[str]
    version: int
    created_at: datetime
    edited_at: datetime | None
    deleted: bool
    hidden: bool
    hidden_reason: str
    files: list[AttachmentOut]


class CommentPage(Schema):
    """Comments of a noun, oldest first."""

    items: list[CommentOut]
    count: int


class CommentEditionOut(Schema):
    """What a comment said before."""

    version: int
    text: str
    written_at: datetime


class EditionPage(Schema):
    """Earlier texts, newest first."""

    items: list[CommentEditionOut]
    count: int


def _file(row: Attachment) -> dict[str, Any]:
    return {
        "id": row.pk,
        "ref": row.on,
        "comment": row.comment_id,
        "name": row.name,
        "size": row.size,
        "sha256": row.sha256,
        "content_type": row.content_type,
        "picture": row.inline,
        "uploaded_by": row.uploaded_by_name,
        "created_at": row.created_at,
        "deleted": row.deleted_at is not None,
    }


def _comment(row: Comment) -> dict[str, Any]:
    files = [each for each in row.attachments.all() if each.deleted_at is None] if row.shown else []
    return {
        "id": row.pk,
        "ref": row.on,
        "reply_to": row.parent_id,
        "author": row.author_name,
        "text": row.text if row.shown else "",
        "mentions": row.mentions if row.shown else [],
        "version": row.version,
        "created_at": row.created_at,
        "edited_at": row.edited_at,
        "deleted": row.deleted_at is not None,
        "hidden": row.hidden_at is not None,
        "hidden_reason": row.hidden_reason,
        "files": [_file(each) for each in files],
    }


@router.get("/comments", response=CommentPage)
def list_comments(request: HttpRequest, ref: str, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List the comments on a noun, oldest first; 404 for one you may not see."""
    rows = comments.listing(actor_of(request), ref)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_comment(row) for row in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/comments", response={201: CommentOut})
def add_comment(request: HttpRequest, body: NewCommentIn) -> Status[dict[str, Any]]:
    """Write a comment in Markdown; @name and @{Team Name} tell people, who must be able to see the noun."""
    row, _event = comments.add(
        actor=actor_of(request), on=body.ref, text=body.text, reply_to=body.reply_to, files=body.files
    )
    return Status(201, _comment(row))


@router.patch("/comments/{uuid:comment_id}", response=CommentOut)
def edit_comment(request: HttpRequest, comment_id: UUID, body: CommentEdit) -> dict[str, Any]:
    """Change your own comment; 409 when it was changed since `version`."""
    actor = actor_of(request)
    row = comments.get(actor, comment_id)
    return _comment(comments.edit(actor=actor, comment=row, text=body.text, version=body.version))


@router.delete("/comments/{uuid:comment_id}", response=CommentOut)
def delete_comment(request: HttpRequest, comment_id: UUID) -> dict[str, Any]:
    """Take your own comment back; restore it within an hour."""
    actor = actor_of(request)
    return _comment(comments.delete(actor=actor, comment=comments.get(actor, comment_id)))


@router.post("/comments/{uuid:comment_id}/restore", response=CommentOut)
def restore_comment(request: HttpRequest, comment_id: UUID) -> dict[str, Any]:
    """Undo taking it back."""
    actor = actor_of(request)
    return _comment(comments.restore(actor=actor, comment=comments.get(actor, comment_id)))


@router.post("/comments/{uuid:comment_id}/hide", response=CommentOut)
def hide_comment(request: HttpRequest, comment_id: UUID, body: HideIn) -> dict[str, Any]:
    """Hide somebody's comment (administrators)."""
    actor = actor_of(request)
    return _comment(comments.hide(actor=actor, comment=comments.get(actor, comment_id), reason=body.reason))


@router.post("/comments/{uuid:comment_id}/unhide", response=CommentOut)
def unhide_comment(request: HttpRequest, comment_id: UUID) -> dict[str, Any]:
    """Show it again (administrators)."""
    actor = actor_of(request)
    return _comment(comments.unhide(actor=actor, comment=comments.get(actor, comment_id)))


@router.get("/comments/{uuid:comment_id}/editions", response=EditionPage)
def list_editions(request: HttpRequest, comment_id: UUID) -> dict[str, Any]:
    """List what it said before."""
    actor = actor_of(request)
    rows = comments.editions(actor, comments.get(actor, comment_id))
    return {"items": rows, "count": len(rows)}


# --- watches ------------------------------------------------------------------------------------------------------


class WatchIn(Body):
    """What to watch: the Ref of a noun, or of a team (core.team:id) for all it owns."""

    ref: str = Field(max_length=MAX_REF)


class WatchOut(Schema):
    """A watch and why it is there: by_hand, commented, mentioned, assigned, approval, requested."""

    ref: str
    reason: str
    created_at: datetime


class WatchPage(Schema):
    """What you watch, newest first."""

    items: list[WatchOut]
    count: int


@router.get("/watches", response=WatchPage)
def list_watches(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List what you watch."""
    rows = watching.watches(actor_of(request))
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@router.post("/watches", response={201: WatchOut})
def add_watch(request: HttpRequest, body: WatchIn) -> Status[Watch]:
    """Watch a noun or a team."""
    return Status(201, watching.watch(actor=actor_of(request), wanted=body.ref))


@router.delete("/watches", response={204: None})
def delete_watch(request: HttpRequest, ref: str) -> Status[None]:
    """Stop watching; it does not begin again by itself."""
    watching.unwatch(actor=actor_of(request), wanted=ref)
    return Status(204, None)


# --- inbox --------------------------------------------------------------------------------------------------------


class InboxOut(Schema):
    """A row: one noun, the weightiest reason, and how many events since you last read it."""

    id: UUID
    ref: str
    title: str
    reason: str
    state: str
    later_until: datetime | None
    count: int
    verb: str | None
    by: str | None
    first_at: datetime
    last_at: datetime


class InboxPage(Schema):
    """A page of your inbox, newest first; `unread` counts what waits, up to 99."""

    items: list[InboxOut]
    count: int
    unread: int


class MarkIn(Body):
    """unread, read, archived, or later with `until`."""

    state: str = Field(max_length=20)
    until: datetime | None = None


class ReadOut(Schema):
    """How many rows were marked."""

    marked: int


def _item(row: InboxItem, noun: Any) -> dict[str, Any]:
    event = row.last_event
    return {
        "id": row.pk,
        "ref": row.ref,
        "title": inbox_mail.called(noun),
        "reason": row.reason,
        "state": row.state,
        "later_until": row.later_until,
        "count": row.count,
        "verb": event.verb if event is not None else None,
        "by": event.actor_name if event is not None else None,
        "first_at": row.first_at,
        "last_at": row.last_at,
    }


@router.get("/inbox", response=InboxPage)
def list_inbox(
    request: HttpRequest, box: str = "inbox", reason: str = "", limit: int = 50, offset: Offset = 0
) -> dict[str, Any]:
    """List your inbox: box inbox, unread, later or archived; one reason, or all."""
    actor = actor_of(request)
    rows = inbox.listing(actor, box=box, reason=reason)
    limit, offset = max(1, min(limit, 200)), max(0, offset)
    shown = inbox.seen(actor, rows[offset : offset + limit])
    return {
        "items": [_item(row, noun) for row, noun in shown],
        "count": rows.count(),
        "unread": inbox.unread_count(actor),
    }


@router.post("/inbox/read-all", response=ReadOut)
def read_all(request: HttpRequest) -> dict[str, Any]:
    """Mark everything as read."""
    return {"marked": inbox.mark_all_read(actor=actor_of(request))}


@router.patch("/inbox/{uuid:item_id}", response=InboxOut)
def mark(request: HttpRequest, item_id: UUID, body: MarkIn) -> dict[str, Any]:
    """Mark one row."""
    actor = actor_of(request)
    row = inbox.mark(actor=actor, item=inbox.get(actor, item_id), state=body.state, until=body.until)
    return _item(row, inbox.seen(actor, [row])[0][1])


# --- attachments --------------------------------------------------------------------------------------------------


class AttachmentPage(Schema):
    """The files of a noun and of its comments, oldest first."""

    items: list[AttachmentOut]
    count: int


@router.get("/attachments", response=AttachmentPage)
def list_attachments(request: HttpRequest, ref: str, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List the files of a noun."""
    rows = attachments.listing(actor_of(request), ref)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_file(row) for row in rows[offset : offset + limit]], "count": rows.count()}


@router.post("/attachments", response={201: AttachmentOut})
def add_attachment(
    request: HttpRequest, ref: Form[str], file: File[UploadedFile], staged: Form[bool] = False
) -> Status[dict[str, Any]]:
    """Attach a file (multipart: ref, file); with staged=true it waits for the comment that names it in `files`."""
    row = attachments.add(
        actor=actor_of(request),
        on=ref,
        name=file.name or "",
        chunks=file.chunks(),
        size=file.size or 0,
        staged=staged,
    )
    return Status(201, _file(row))


@router.get("/attachments/{uuid:attachment_id}", response=AttachmentOut)
def get_attachment(request: HttpRequest, attachment_id: UUID) -> dict[str, Any]:
    """Return what is known of a file."""
    return _file(attachments.get(actor_of(request), attachment_id))


@router.get("/attachments/{uuid:attachment_id}/content", response={200: bytes})
def get_content(request: HttpRequest, attachment_id: UUID) -> HttpResponse:
    """Return its bytes, to be saved: never shown."""
    row = attachments.get(actor_of(request), attachment_id)
    response = HttpResponse(b"".join(attachments.content(row)), content_type="application/octet-stream")
    response.headers["Content-Disposition"] = "attachment"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@router.delete("/attachments/{uuid:attachment_id}", response=AttachmentOut)
def delete_attachment(request: HttpRequest, attachment_id: UUID) -> dict[str, Any]:
    """Delete a file; it can be restored for attachments.keep_deleted_days."""
    actor = actor_of(request)
    return _file(attachments.delete(actor=actor, attachment=attachments.get(actor, attachment_id)))


@router.post("/attachments/{uuid:attachment_id}/restore", response=AttachmentOut)
def restore_attachment(request: HttpRequest, attachment_id: UUID) -> dict[str, Any]:
    """Undo the deletion of your own file (administrators: of any)."""
    actor = actor_of(request)
    return _file(attachments.restore(actor=actor, attachment=attachments.get(actor, attachment_id)))
