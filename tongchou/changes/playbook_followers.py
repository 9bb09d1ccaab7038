"""What Ansible projects do when the executor tells of a run."""

from __future__ import annotations

from uuid import UUID

from tongchou.changes import playbook_actions, playbook_runs
from tongchou.changes.models_playbooks import Playbook
from tongchou.core.ledger import follow
from tongchou.core.models import Event
from tongchou.core.refs import parse
from tongchou.runbooks.models import Run


@follow("run.waiting")
def mark_cut_off(event: Event) -> None:
    """A batch of which nobody knows whether it took effect: its running hosts were cut off."""
    if event.payload.get("why") == "uncertain" and event.payload.get("kind") == "playbook":
        playbook_runs.mark_cut_off(run_id=UUID(parse(event.subject).id))


@follow("run.succeeded")
@follow("run.failed")
def look_again(event: Event) -> None:
    """After a run of a project that is checked on a schedule: what still differs is known at once."""
    run = Run.objects.filter(pk=UUID(parse(event.subject).id)).only("about_ref").first()
    if run is None or not run.about_ref.startswith("changes.playbook:"):
        return
    row = Playbook.objects.filter(pk=UUID(parse(run.about_ref).id), retired_at=None, check_every_seconds__gt=0).first()
    if row is not None:
        playbook_actions.ask_check(actor=playbook_actions.CHECKER, row=row, drift=True)
