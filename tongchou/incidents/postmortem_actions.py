"""Every write about postmortems and their causes: draft -> review -> published, each state on the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor
from tongchou.core.models import Event, User
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import is_ref, ref
from tongchou.incidents import postmortem_prefill as prefill
from tongchou.incidents import severity
from tongchou.incidents.actions import check_respond
from tongchou.incidents.caused_by import follow_postmortem
from tongchou.incidents.models import (
    Cause,
    CauseKind,
    Incident,
    IncidentState,
    Postmortem,
    PostmortemEdition,
    PostmortemState,
)
from tongchou.incidents.postmortem_facts import content_hash, same_facts

SECTIONS = ("summary", "went_well", "went_badly", "lucky", "lessons")
MAX_SECTION = 40_000
MAX_MARK = 2000
MAX_CAUSES = 50
MAX_DESCRIPTION = 4000
MAX_EVIDENCE = 4000
EDITS_TOLD_EVERY_SECONDS = 600


def start(*, actor: Actor, incident: Incident) -> Postmortem:
    """Begin the postmortem of a mitigated or resolved incident, pre-filled. Event postmortem.started.

    Idempotent: of two people who begin it, both get the one. Raises Conflict while the impact goes on.
    """
    check_respond(actor, incident)
    found = Postmortem.objects.filter(incident=incident).first()
    if found is not None:
        return found
    if incident.state not in (IncidentState.MITIGATED, IncidentState.RESOLVED):
        raise Conflict(
            "postmortem.too_early",
            _("The incident goes on."),
            field="state",
            value=incident.state,
            remedy=_("Begin the postmortem when the incident is mitigated or resolved."),
        )
    now = timezone.now()
    facts = prefill.gather(incident, now=now)
    try:
        with transaction.atomic():
            row = Postmortem.objects.create(
                incident=incident,
                facts=facts,
                facts_at=now,
                created_by_name=actor.name,
                updated_by_name=actor.name,
            )
            _tell(actor, row, "postmortem.started", {})
    except IntegrityError:  # somebody else was faster
        return Postmortem.objects.get(incident=incident)
    return row


def refresh(*, actor: Actor, postmortem: Postmortem) -> bool:
    """Take the snapshot again, while draft; what people wrote stays. Returns whether it says something else now.

    Event postmortem.prefilled only then.
    """
    check_respond(actor, postmortem.incident)
    _want(postmortem, PostmortemState.DRAFT)
    incident = Incident.objects.select_related("commander", "previous").get(pk=postmortem.incident_id)
    now = timezone.now()
    facts = prefill.gather(incident, now=now)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.DRAFT)
        changed = not same_facts(row.facts, facts)
        fields: dict[str, Any] = {"facts_at": now, "facts": facts}
        if changed:
            fields["version"] = F("version") + 1
        Postmortem.objects.filter(pk=row.pk).update(**fields)
        if changed:
            _tell(actor, row, "postmortem.prefilled", {})
    postmortem.refresh_from_db()
    return changed


def edit(*, actor: Actor, postmortem: Postmortem, version: int, changes: Mapping[str, Any]) -> Postmortem:
    """Write sections (SECTIONS) and `marks` ({event id: {"hidden", "note"}}, merged) of a draft.

    `version` is the one the writer read. Raises Conflict postmortem.version with the text that is there now when
    somebody wrote in between: nothing of either is lost. Event postmortem.edited, one in ten minutes for each writer.
    """
    check_respond(actor, postmortem.incident)
    fields = _sections(changes)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.DRAFT)
        if row.version != version:
            raise _version_conflict(row, version)
        if "marks" in changes:
            fields["marks"] = _marks(row, changes["marks"])
        changed = sorted(name for name, value in fields.items() if getattr(row, name) != value)
        if changed:
            Postmortem.objects.filter(pk=row.pk).update(
                **fields, version=F("version") + 1, updated_at=timezone.now(), updated_by_name=actor.name
            )
            turn = int(timezone.now().timestamp()) // EDITS_TOLD_EVERY_SECONDS
            _tell(
                actor,
                row,
                "postmortem.edited",
                {"fields": changed},
                dedupe_key=f"postmortem.edited:{row.pk}:{actor.kind}:{actor.user_id or actor.name}:{turn}",
            )
    postmortem.refresh_from_db()
    return postmortem


def _sections(changes: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in SECTIONS:
        if name in changes and changes[name] is not None:
            text = str(changes[name]).replace("\r\n", "\n")
            if len(text) > MAX_SECTION:
                raise Invalid(
                    "postmortem.too_long",
                    _("A section has at most %(most)s characters.") % {"most": MAX_SECTION},
                    field=name,
                    remedy=_("Link to longer material instead."),
                )
            fields[name] = text
    return fields


def _marks(row: Postmortem, wanted: Any) -> dict[str, Any]:
    """The marks with the wanted ones put in; only events of the snapshot can be marked, and none is ever altered."""
    known = {str(each["id"]) for each in row.facts.get("timeline", [])}
    marks = dict(row.marks)
    for event_id, mark in dict(wanted or {}).items():
        key = str(event_id)
        if key not in known:
            raise Invalid(
                "postmortem.event",
                _("This event is not on the timeline of the postmortem."),
                field="marks",
                value=key,
                remedy=_("Take the snapshot again if it is a new one."),
            )
        note = str(mark.get("note", "")).strip()
        if len(note) > MAX_MARK:
            raise Invalid(
                "postmortem.note",
                _("A remark has at most %(most)s characters.") % {"most": MAX_MARK},
                field=f"marks.{key}.note",
            )
        hidden = bool(mark.get("hidden", False))
        if hidden or note:
            marks[key] = {"hidden": hidden, "note": note}
        else:
            marks.pop(key, None)
    return marks


# --- contributing causes ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CauseDraft:
    """What a person says about one cause; see models.Cause."""

    kind: str
    description: str
    ref: str = ""
    evidence_kind: str = ""
    evidence: str = ""

    def mistake(self) -> Invalid | None:
        """The first field that will not do."""
        if self.kind not in CauseKind.values:
            return _wrong("kind", self.kind, _("One of: %(words)s.") % {"words": ", ".join(CauseKind.values)})
        if not self.description.strip() or len(self.description) > MAX_DESCRIPTION:
            return _wrong("description", "", _("1 to %(most)s characters.") % {"most": MAX_DESCRIPTION})
        if self.ref and (not is_ref(self.ref) or len(self.ref) > 140):
            return _wrong("ref", self.ref, _("A reference looks like inventory.resource:<id>."))
        if self.evidence_kind not in ("", "query", "logs") or bool(self.evidence_kind) != bool(self.evidence.strip()):
            return _wrong("evidence", self.evidence_kind, _("Evidence is a query or a log search, with its kind."))
        if len(self.evidence) > MAX_EVIDENCE:
            return _wrong("evidence", "", _("At most %(most)s characters.") % {"most": MAX_EVIDENCE})
        return None


def _wrong(field: str, value: str, remedy: Any) -> Invalid:
    return Invalid(
        "postmortem.cause", _("A cause cannot be written like this."), field=field, value=value, remedy=remedy
    )


def add_cause(*, actor: Actor, postmortem: Postmortem, cause: CauseDraft) -> Cause:
    """Add a contributing cause to a draft. Event postmortem.cause_added."""
    check_respond(actor, postmortem.incident)
    if (wrong := cause.mistake()) is not None:
        raise wrong
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.DRAFT)
        places = Cause.objects.filter(postmortem=row).aggregate(last=Max("position"))
        position = (places["last"] or 0) + 1
        if Cause.objects.filter(postmortem=row).count() >= MAX_CAUSES:
            raise Conflict("postmortem.causes", _("There are %(most)s causes already.") % {"most": MAX_CAUSES})
        made = Cause.objects.create(
            postmortem=row,
            position=position,
            kind=cause.kind,
            description=cause.description.strip(),
            ref=cause.ref,
            evidence_kind=cause.evidence_kind,
            evidence=cause.evidence.strip(),
        )
        _wrote(actor, row)
        _tell(actor, row, "postmortem.cause_added", {"kind": cause.kind}, about=[cause.ref] if cause.ref else [])
        follow_postmortem(actor=actor, postmortem=row, refs={cause.ref})
    return made


def change_cause(*, actor: Actor, cause: Cause, wanted: CauseDraft) -> Cause:
    """Write a cause of a draft anew. Event postmortem.cause_changed."""
    check_respond(actor, cause.postmortem.incident)
    if (wrong := wanted.mistake()) is not None:
        raise wrong
    with transaction.atomic():
        row = _locked(cause.postmortem, PostmortemState.DRAFT)
        Cause.objects.filter(pk=cause.pk).update(
            kind=wanted.kind,
            description=wanted.description.strip(),
            ref=wanted.ref,
            evidence_kind=wanted.evidence_kind,
            evidence=wanted.evidence.strip(),
        )
        _wrote(actor, row)
        _tell(actor, row, "postmortem.cause_changed", {"kind": wanted.kind}, about=[wanted.ref] if wanted.ref else [])
        follow_postmortem(actor=actor, postmortem=row, refs={cause.ref, wanted.ref})
    cause.refresh_from_db()
    return cause


def remove_cause(*, actor: Actor, cause: Cause) -> None:
    """Take a cause out of a draft; its improvements stay. Event postmortem.cause_removed keeps its words."""
    check_respond(actor, cause.postmortem.incident)
    with transaction.atomic():
        row = _locked(cause.postmortem, PostmortemState.DRAFT)
        told = {"kind": cause.kind, "description": cause.description[:500]}
        if Cause.objects.filter(pk=cause.pk).delete()[0]:
            _wrote(actor, row)
            _tell(actor, row, "postmortem.cause_removed", told)
            follow_postmortem(actor=actor, postmortem=row, refs={cause.ref})


# --- draft -> review -> published -----------------------------------------------------------------------------------


def submit(*, actor: Actor, postmortem: Postmortem) -> Postmortem:
    """Ask for review: from now on nothing in it changes. Event postmortem.submitted with the hash to be reviewed."""
    check_respond(actor, postmortem.incident)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.DRAFT)
        if not row.summary.strip():
            raise Invalid(
                "postmortem.summary",
                _("A postmortem without a summary helps nobody."),
                field="summary",
                remedy=_("Write two or three sentences: what happened, whom it hurt, what ended it."),
            )
        digest = content_hash(content(row))
        Postmortem.objects.filter(pk=row.pk).update(
            state=PostmortemState.REVIEW,
            version=F("version") + 1,
            content_hash=digest,
            submitted_at=timezone.now(),
            submitted_by=_person(actor),
            submitted_by_name=actor.name,
        )
        _tell(actor, row, "postmortem.submitted", {"content_hash": digest})
    postmortem.refresh_from_db()
    return postmortem


def give_back(*, actor: Actor, postmortem: Postmortem, comment: str = "") -> Postmortem:
    """Return one in review to its writers. Event postmortem.returned."""
    check_respond(actor, postmortem.incident)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.REVIEW)
        Postmortem.objects.filter(pk=row.pk).update(
            state=PostmortemState.DRAFT, version=F("version") + 1, content_hash=""
        )
        _tell(actor, row, "postmortem.returned", {"comment": comment.strip()[:MAX_MARK]})
    postmortem.refresh_from_db()
    return postmortem


def publish(*, actor: Actor, postmortem: Postmortem) -> PostmortemEdition:
    """Fix it as the next edition. Event postmortem.published with its content hash.

    A critical incident's is published by another person than the one who asked for the review. Raises Conflict when
    what would be published is not what was sent to review.
    """
    check_respond(actor, postmortem.incident)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.REVIEW)
        person = actor.user_id
        if needs_second(row) and (person is None or person == row.submitted_by_id):
            raise AccessDenied(
                "postmortem.own_review",
                _("The postmortem of a critical incident is published by another person than asked for the review."),
                remedy=_("Ask a colleague who may respond to this incident to read and publish it."),
            )
        told = content(row)
        digest = content_hash(told)
        if digest != row.content_hash:
            raise Conflict(
                "postmortem.content",
                _("What is here is not what was sent to review."),
                remedy=_("Return it, read it again and send it to review."),
            )
        now = timezone.now()
        edition = PostmortemEdition.objects.create(
            postmortem=row,
            number=row.edition + 1,
            content=told,
            content_hash=digest,
            submitted_by_name=row.submitted_by_name,
            published_at=now,
            published_by_name=actor.name,
        )
        Postmortem.objects.filter(pk=row.pk).update(
            state=PostmortemState.PUBLISHED,
            version=F("version") + 1,
            edition=edition.number,
            published_at=now,
            published_by_name=actor.name,
        )
        _tell(actor, row, "postmortem.published", {"content_hash": digest, "edition": edition.number})
    postmortem.refresh_from_db()
    return edition


def revise(*, actor: Actor, postmortem: Postmortem) -> Postmortem:
    """Open a published one for writing; editions stay as they are, the next follows. Event postmortem.revised."""
    check_respond(actor, postmortem.incident)
    with transaction.atomic():
        row = _locked(postmortem, PostmortemState.PUBLISHED)
        Postmortem.objects.filter(pk=row.pk).update(
            state=PostmortemState.DRAFT, version=F("version") + 1, content_hash=""
        )
        _tell(actor, row, "postmortem.revised", {"edition": row.edition})
    postmortem.refresh_from_db()
    return postmortem


def needs_second(postmortem: Postmortem) -> bool:
    """Whether another person has to publish it: the incident was critical, now or when the snapshot was taken."""
    told = postmortem.facts.get("incident", {}).get("severity")
    return severity.CRITICAL in (postmortem.incident.severity, told)


def content(postmortem: Postmortem) -> dict[str, Any]:
    """All that an edition fixes. How improvements go on is not in it: they live longer than the document."""
    improvements = postmortem.improvements.select_related("owner", "owner_team").order_by("number")
    return {
        "facts": postmortem.facts,
        "marks": postmortem.marks,
        **{name: getattr(postmortem, name) for name in SECTIONS},
        "causes": [
            {
                "kind": each.kind,
                "description": each.description,
                "ref": each.ref,
                "evidence_kind": each.evidence_kind,
                "evidence": each.evidence,
            }
            for each in postmortem.causes.order_by("position", "id")
        ],
        "improvements": [
            {
                "number": each.number,
                "title": each.title,
                "kind": each.kind,
                "priority": each.priority,
                "owner": str(each.owner or each.owner_team or ""),
                "due_on": each.due_on.isoformat(),
                "check_query": each.check_query,
                "check_is": each.check_is,
                "green_days": each.green_days,
            }
            for each in improvements
        ],
    }


# --- shared by the above --------------------------------------------------------------------------------------------


def _locked(postmortem: Postmortem, state: PostmortemState) -> Postmortem:
    """The row, locked, in this state; Conflict when it is in another."""
    row = Postmortem.objects.select_for_update(of=("self",)).select_related("incident").get(pk=postmortem.pk)
    _want(row, state)
    return row


def _want(row: Postmortem, state: PostmortemState) -> None:
    if row.state == state:
        return
    remedies = {
        PostmortemState.DRAFT: _("Return it from review, or revise it when it is published, and write then."),
        PostmortemState.REVIEW: _("Send it to review first."),
        PostmortemState.PUBLISHED: _("Publish it first."),
    }
    raise Conflict(
        "postmortem.state",
        _("The postmortem is: %(state)s.") % {"state": row.get_state_display()},
        field="state",
        value=row.state,
        remedy=remedies[state],
        extra={"state": row.state, "version": row.version},
    )


def _version_conflict(row: Postmortem, version: int) -> Conflict:
    return Conflict(
        "postmortem.version",
        _("%(name)s wrote in it meanwhile.") % {"name": row.updated_by_name},
        field="version",
        value=version,
        remedy=_("Put your text and theirs together, and save with the new version."),
        extra={
            "version": row.version,
            "updated_by": row.updated_by_name,
            "updated_at": row.updated_at.isoformat(),
            "current": {name: getattr(row, name) for name in SECTIONS},
        },
    )


def _wrote(actor: Actor, row: Postmortem) -> None:
    Postmortem.objects.filter(pk=row.pk).update(
        version=F("version") + 1, updated_at=timezone.now(), updated_by_name=actor.name
    )


def _person(actor: Actor) -> User | None:
    return User.objects.filter(pk=actor.user_id).first() if actor.user_id else None


def _tell(
    actor: Actor,
    row: Postmortem,
    verb: str,
    payload: dict[str, Any],
    *,
    about: list[str] | None = None,
    dedupe_key: str | None = None,
) -> Event:
    return ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(row),
        about=[ref(row.incident), *(about or [])],
        payload={"incident": row.incident.name, **payload},
        dedupe_key=dedupe_key,
    )
