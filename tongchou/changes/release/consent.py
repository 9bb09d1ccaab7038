"""Who agreed to a release: its own approval, the standing one of its rollouts, or the change that carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.changes import control_reads
from tongchou.changes.change_content import digest
from tongchou.changes.models_control import ChangeState
from tongchou.changes.models_release import Consent, Release, ReleaseItem, Rollout
from tongchou.changes.release import reads, setup
from tongchou.core import approvals
from tongchou.core.consent import declare
from tongchou.core.models import Approval, ApprovalState
from tongchou.core.refs import ref

ACTION = declare("changes.release", gettext_lazy("Release versions into an environment"))


@dataclass(frozen=True, slots=True)
class Given:
    """Consent to exactly what the release says. `by` None: a standing one that is over, or the glass was broken."""

    by: Approval | None
    because: str


def scope_of(release: Release) -> dict[str, Any]:
    """Return what an approver reads, and policies choose by."""
    items = reads.items(release)
    skipped = {"passed_over": release.skip_promotion} if release.skip_promotion else {}
    return {
        "environment": release.environment.name,
        "services": [each.service.name for each in items],
        "versions": [each.artefact.version for each in items],
        **skipped,
    }


def given(release: Release, now: datetime, item: ReleaseItem | None = None) -> tuple[Given | None, str]:
    """Return the consent that covers the release now; else None and why not, in the language spoken now.

    A release with a change is carried out under it: in its window, while it is being implemented, as agreed. Of a
    standing one the consent to `item` is named, of the first without.
    """
    if release.change is not None:
        return _by_change(release, now)
    own = approvals.valid(
        subject=ref(release), action=ACTION, content_hash=release.content_hash, scope=scope_of(release)
    )
    if own is not None:
        return Given(own, release.name), ""
    if release.environment.consent == Consent.STANDING and not release.skip_promotion:
        rows = reads.items(release)
        first = next((each for each in rows if not stands(release, each)), None)
        if rows and first is None:
            row = (item or rows[0]).rollout
            return Given(_standing(row), f"{release.name}: {row}"), ""
        if first is not None:
            says = _("Nobody agreed to how %(service)s is rolled out here, as it is now.")
            return None, says % {"service": first.service.name}
    return None, _("Nobody agreed to exactly this release, or the consent has expired.")


def stands(release: Release, item: ReleaseItem) -> bool:
    """Tell whether standing consent covers an item: given to how it is rolled out now, and planned in just that way.

    Passing an environment over is nothing that anybody agreed to once and for all.
    """
    items = release.content.get("items", [])
    planned = digest(items[item.position - 1]["rollout"]) if item.position <= len(items) else ""
    return not release.skip_promotion and reads.stands(item.rollout) and planned == item.rollout.approved_hash


def _standing(row: Rollout) -> Approval | None:
    """The approval that was given to what a rollout says; another may have been asked for since."""
    found = Approval.objects.filter(subject=ref(row), action=setup.ACTION, content_hash=row.approved_hash)
    return found.filter(state=ApprovalState.APPROVED).order_by("-decided_at").first()


def _by_change(release: Release, now: datetime) -> tuple[Given | None, str]:
    change = release.change
    assert change is not None  # noqa: S101  # the caller has looked
    names = {"name": change.name}
    if change.state != ChangeState.IMPLEMENT:
        return None, _("%(name)s is not being implemented.") % names
    if change.starts_at is None or change.ends_at is None or not change.starts_at <= now < change.ends_at:
        return None, _("It is outside of the window of %(name)s.") % names
    own = ref(release)
    if not any(each.get("ref") == own and each.get("sha256") == release.content_hash for each in change.bound):
        return None, _("%(name)s is bound to another content.") % names
    if change.broke_glass:
        return Given(None, f"{change.name}: {change.broke_glass}"), ""
    if not control_reads.is_agreed(change):
        return None, _("What %(name)s says now is not what was agreed on.") % names
    approval = change.approval or (change.template.approval if change.template is not None else None)
    return Given(approval, change.name), ""
