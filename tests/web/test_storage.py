from __future__ import annotations

from typing import Any

import pytest

from tongchou.core.models import Role
from tongchou.core.models_backups import Backup, BackupState

pytestmark = pytest.mark.django_db


def test_a_viewer_sees_room_and_no_backups_and_an_administrator_begins_one(telemetry_db: object, browser: Any) -> None:
    viewer, admin = browser(Role.VIEWER), browser(Role.ADMIN)
    Backup.objects.create(
        reason="manual", requested_by_name="x", state=BackupState.DONE, path="/backups/kept.backup", size=5
    )
    page = viewer.get("/storage").content.decode()
    assert "kept.backup" not in page
    assert "metrics.retention_days" in page
    assert viewer.post("/storage/backup").status_code == 403
    page = admin.get("/storage").content.decode()
    assert "/backups/kept.backup" in page
    assert admin.post("/storage/backup").status_code == 302
    assert Backup.objects.filter(state=BackupState.QUEUED).count() == 1
    assert 'hx-trigger="every 2s"' in admin.get("/storage?part=backups").content.decode()
    assert admin.post("/storage/backup").status_code == 302
    assert Backup.objects.filter(state=BackupState.QUEUED).count() == 1, "one at a time"


def test_the_preview_takes_other_days_and_refuses_nonsense(telemetry_db: object, browser: Any) -> None:
    viewer = browser(Role.VIEWER)
    assert viewer.get("/storage/retention/jobs").status_code == 200
    assert viewer.get("/storage/retention/jobs?days=0").status_code == 200
    assert viewer.get("/storage/retention/jobs?days=x").status_code == 422
    assert viewer.get("/storage/retention/nothing").status_code == 404
