"""Backups of this installation: ask for one, follow it, check it, take it elsewhere."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.document import bytes_of
from tongchou.api.paging import Offset
from tongchou.core.access import check
from tongchou.core.backup import actions
from tongchou.core.models_backups import Backup

router = Router(tags=["backups"])
SLICE_BYTES = 8 * 1024 * 1024


class BackupIn(Body):
    """How to make it. `passphrase` encrypts this one (or `base64:` and a key file's content); it is not kept."""

    passphrase: str | None = Field(default=None, max_length=8192)
    with_keys: bool | None = None


class BackupOut(Schema):
    """A backup; `progress` while it runs, `problem` when it failed, `verify_problem` when its file is damaged."""

    id: UUID
    state: str
    reason: str
    path: str
    encrypted: bool
    with_keys: bool
    requested_by_name: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    size: int | None
    sha256: str
    progress: dict[str, Any]
    facts: dict[str, Any]
    problem: dict[str, Any]
    verified_at: datetime | None
    verify_problem: dict[str, Any]


class BackupList(Schema):
    """A page of backups, newest first."""

    items: list[BackupOut]
    count: int


@router.get("/backups", response=BackupList)
def list_backups(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List backups, newest first."""
    check(actor_of(request), actions.MANAGE)
    rows = Backup.objects.order_by("-created_at")
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@router.post("/backups", response={202: BackupOut})
def make_backup(request: HttpRequest, body: BackupIn) -> Status[Backup]:
    """Begin a backup of everything; ask for it again until its state is done or failed."""
    row = actions.request(actor=actor_of(request), passphrase=body.passphrase, with_keys=body.with_keys)
    return Status(202, row)


@router.get("/backups/{uuid:backup_id}", response=BackupOut)
def get_backup(request: HttpRequest, backup_id: UUID) -> Backup:
    """Return one backup with its progress."""
    check(actor_of(request), actions.MANAGE)
    return get_object_or_404(Backup, pk=backup_id)


@router.post("/backups/{uuid:backup_id}/verify", response={202: BackupOut})
def verify_backup(request: HttpRequest, backup_id: UUID) -> Status[Backup]:
    """Begin to read the whole file and check every checksum; the verdict is on the backup."""
    row = get_object_or_404(Backup, pk=backup_id)
    actions.request_verify(actor=actor_of(request), backup=row)
    return Status(202, row)


@router.get("/backups/{uuid:backup_id}/content", openapi_extra=bytes_of("application/octet-stream"))
def backup_content(request: HttpRequest, backup_id: UUID, offset: Offset = 0) -> HttpResponse:
    """Return up to 8 MiB of the file from `offset` on; nothing past its end. Its SHA-256 is on the backup."""
    check(actor_of(request), actions.MANAGE)
    path: Path = actions.find_file(get_object_or_404(Backup, pk=backup_id))
    with path.open("rb") as file:
        file.seek(max(0, offset))
        data = file.read(SLICE_BYTES)
    return HttpResponse(data, content_type="application/octet-stream", headers={"Cache-Control": "no-store"})
