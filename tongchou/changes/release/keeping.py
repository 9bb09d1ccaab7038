"""Which months of the ledger releases that are not over need; what becomes of those under way after a restore."""

from __future__ import annotations

from typing import Any

from tongchou.changes.models_release import Release, ReleaseState
from tongchou.changes.release import machine
from tongchou.core import retention
from tongchou.core.backup.parts import after_restore
from tongchou.core.refs import ref


@after_restore
def pause_what_was_under_way() -> dict[str, Any]:
    """What happened since the backup nobody knows here: a person looks before a release goes on."""
    rows = Release.objects.filter(state__in=machine.MOVING)
    return {"releases_paused": rows.update(state=ReleaseState.PAUSED, outcome={"code": "restored"})}


def open_refs(refs: list[str]) -> set[str]:
    """Return which refs are of releases that are not over."""
    return {ref(each) for each in Release.objects.exclude(state__in=machine.ENDED).only("pk")} & set(refs)


retention.hold("ledger", open_refs)
