"""From a Ref to something a person can click: one query a noun, however many refs there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.urls import reverse
from django.utils import translation

from tongchou.alerting.models import Alert, AlertGroup, Objective, RuleFile
from tongchou.changes.models import Deployment
from tongchou.changes.models_baselines import Baseline
from tongchou.changes.models_control import Change, ChangeTemplate
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_iac import Plan, Workspace
from tongchou.changes.models_playbooks import Playbook
from tongchou.changes.models_release import Artefact, Environment, Release, Rollout
from tongchou.changes.models_requirements import Decision, Option, Requirement, Scorecard
from tongchou.core.models import ApiToken, Approval, Team, User
from tongchou.core.refs import parse
from tongchou.incidents.models import Improvement, Incident, Postmortem
from tongchou.incidents.timeline import scope_facts
from tongchou.inventory import kinds
from tongchou.inventory.models import Hold, Resource, SourceConfig
from tongchou.runbooks.models import Procedure, Run
from tongchou.telemetry.models import Dashboard


@dataclass(frozen=True)
class Link:
    """What a Ref points at: a name, where its page is ("" when it has none), an icon, and what sort of thing it is."""

    ref: str
    title: str
    url: str
    icon: str
    kind: str


def localized(texts: object, fallback: str = "") -> str:
    """Return the text of {"en": ..., "zh": ...} in the language spoken now; any text before none."""
    if not isinstance(texts, dict):
        return str(texts or fallback)
    wanted = "zh" if (translation.get_language() or "").startswith("zh") else "en"
    return str(texts.get(wanted) or next((text for text in texts.values() if text), fallback))


def group_title(group: AlertGroup) -> str:
    """Return the labels of an alert group in one line, the alert's name first."""
    rest = [str(value) for name, value in sorted(group.labels.items()) if name != "alertname"]
    return " · ".join([str(group.labels["alertname"]), *rest] if "alertname" in group.labels else rest) or group.key


Found = list[tuple[str, Link]]
Resolver = Callable[[list[str]], Found]


def _resources(ids: list[str]) -> Found:
    return [
        (
            str(row.pk),
            Link(
                "",
                row.name,
                reverse("web:resource", args=[row.pk]),
                kinds.kind(row.kind).icon,
                str(kinds.kind(row.kind).title),
            ),
        )
        for row in Resource.objects.filter(pk__in=ids).only("pk", "name", "kind")
    ]


def _incidents(ids: list[str]) -> Found:
    rows = Incident.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:incident", args=[row.number]), "siren", "incident"))
        for row in rows
    ]


def _postmortems(ids: list[str]) -> Found:
    rows = Postmortem.objects.filter(pk__in=ids).values_list("pk", "incident__number", "incident__title")
    return [
        (
            str(pk),
            Link("", f"INC-{number} {title}", reverse("web:postmortem", args=[number]), "notebook-pen", "postmortem"),
        )
        for pk, number, title in rows
    ]


def _improvements(ids: list[str]) -> Found:
    rows = Improvement.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:improvement", args=[row.number]), "list-todo", "improvement"))
        for row in rows
    ]


def _groups(ids: list[str]) -> Found:
    rows = AlertGroup.objects.filter(pk__in=ids).only("pk", "labels", "key")
    return [
        (str(row.pk), Link("", group_title(row), reverse("web:alert-group", args=[row.pk]), "bell", "group"))
        for row in rows
    ]


def _alerts(ids: list[str]) -> Found:
    rows = Alert.objects.filter(pk__in=ids).only("pk", "name", "group_id")
    return [
        (
            str(row.pk),
            Link(
                "",
                row.name,
                reverse("web:alert-group", args=[row.group_id]) if row.group_id else reverse("web:alerts"),
                "bell",
                "alert",
            ),
        )
        for row in rows
    ]


def _files(ids: list[str]) -> Found:
    rows = RuleFile.objects.filter(pk__in=ids).only("pk", "name")
    return [
        (str(row.pk), Link("", row.name, reverse("web:alert-file", args=[row.name]), "file-text", "rule file"))
        for row in rows
    ]


def _objectives(ids: list[str]) -> Found:
    rows = Objective.objects.filter(pk__in=ids).only("pk", "name", "title")
    return [
        (
            str(row.pk),
            Link("", localized(row.title, row.name), reverse("web:slo", args=[row.name]), "target", "objective"),
        )
        for row in rows
    ]


def _dashboards(ids: list[str]) -> Found:
    rows = Dashboard.objects.filter(pk__in=ids, deleted_at__isnull=True).values_list("pk", "name", "title")
    return [
        (str(pk), Link("", title, reverse("web:dashboard", args=[name]), "layout-dashboard", "dashboard"))
        for pk, name, title in rows
    ]


def _procedures(ids: list[str]) -> Found:
    rows = Procedure.objects.filter(pk__in=ids).only("pk", "name", "title")
    return [
        (
            str(row.pk),
            Link(
                "",
                localized(row.title, row.name),
                reverse("web:procedure", args=[row.name]),
                "book-open-check",
                "procedure",
            ),
        )
        for row in rows
    ]


def _runs(ids: list[str]) -> Found:
    rows = Run.objects.filter(pk__in=ids).select_related("procedure")
    return [
        (
            str(row.pk),
            Link(
                "",
                localized(row.procedure.title, row.procedure.name),
                reverse("web:run", args=[row.pk]),
                "square-play",
                "run",
            ),
        )
        for row in rows
    ]


def _approvals(ids: list[str]) -> Found:
    rows = list(Approval.objects.filter(pk__in=ids).only("pk", "action", "scope"))
    asked = {str(row.scope.get("procedure")) for row in rows if isinstance(row.scope, dict)}
    titles = dict(Procedure.objects.filter(name__in=asked).values_list("name", "title"))
    return [
        (
            str(row.pk),
            Link("", _what(row, titles), f"{reverse('web:approvals')}?id={row.pk}", "badge-check", "approval"),
        )
        for row in rows
    ]


def _what(row: Approval, titles: Mapping[str, object]) -> str:
    """Name what an approval is for: the procedure's title and its targets; the action when it is no procedure."""
    facts = scope_facts(row.scope) if isinstance(row.scope, dict) else {}
    name = facts.get("procedure", "")
    if isinstance(row.scope, dict) and {"workspace", "plan"} <= row.scope.keys():
        return f"{row.scope['workspace']} #{row.scope['plan']}"
    if row.action == "changes.rollout" and isinstance(row.scope, dict):
        return f"{row.scope.get('service', '')} · {row.scope.get('environment', '')}"
    title = localized(titles.get(name), name or row.action)
    return f"{title} · {facts['targets']}" if "targets" in facts else title


def _sources(ids: list[str]) -> Found:
    rows = SourceConfig.objects.filter(pk__in=ids).only("pk", "name")
    return [(str(row.pk), Link("", row.name, reverse("web:resource-sources"), "radio", "source")) for row in rows]


def _deployments(ids: list[str]) -> Found:
    rows = Deployment.objects.filter(pk__in=ids)
    return [
        (str(row.pk), Link("", row.title, reverse("web:deployment", args=[row.pk]), "rocket", "deployment"))
        for row in rows
    ]


def _workspaces(ids: list[str]) -> Found:
    rows = Workspace.objects.filter(pk__in=ids).only("pk", "name")
    return [
        (str(row.pk), Link("", row.name, reverse("web:workspace", args=[row.name]), "blocks", "workspace"))
        for row in rows
    ]


def _plans(ids: list[str]) -> Found:
    rows = Plan.objects.filter(pk__in=ids).values_list("pk", "workspace__name", "number")
    return [
        (str(pk), Link("", f"{name} #{number}", reverse("web:workspace-plan", args=[pk]), "file-diff", "plan"))
        for pk, name, number in rows
    ]


def _drift(ids: list[str]) -> Found:
    rows = Drift.objects.filter(pk__in=ids).only("pk", "subject", "path")
    return [
        (str(row.pk), Link("", str(row), reverse("web:drift-item", args=[row.pk]), "git-compare", "drift"))
        for row in rows
    ]


def _requirements(ids: list[str]) -> Found:
    rows = Requirement.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (
            str(row.pk),
            Link("", str(row), reverse("web:requirement", args=[row.number]), "clipboard-list", "requirement"),
        )
        for row in rows
    ]


def _options(ids: list[str]) -> Found:
    rows = Option.objects.filter(pk__in=ids).values_list("pk", "name", "requirement__number")
    return [
        (str(pk), Link("", name, f"{reverse('web:requirement', args=[number])}#options", "layers", "option"))
        for pk, name, number in rows
    ]


def _decisions(ids: list[str]) -> Found:
    rows = Decision.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:decision", args=[row.number]), "book-marked", "decision"))
        for row in rows
    ]


def _scorecards(ids: list[str]) -> Found:
    rows = Scorecard.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:scorecard", args=[row.number]), "scale", "scorecard"))
        for row in rows
    ]


def _playbooks(ids: list[str]) -> Found:
    return [
        (str(row.pk), Link("", str(row), reverse("web:playbook", args=[row.name]), "book-copy", "playbook"))
        for row in Playbook.objects.filter(pk__in=ids).only("pk", "name", "title")
    ]


def _changes(ids: list[str]) -> Found:
    rows = Change.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:change", args=[row.number]), "git-pull-request-arrow", "change"))
        for row in rows
    ]


def _releases(ids: list[str]) -> Found:
    rows = Release.objects.filter(pk__in=ids).only("pk", "number", "title")
    return [
        (str(row.pk), Link("", str(row), reverse("web:release", args=[row.number]), "package-check", "release"))
        for row in rows
    ]


def _artefacts(ids: list[str]) -> Found:
    rows = Artefact.objects.filter(pk__in=ids).values_list("pk", "service__name", "version")
    return [
        (str(pk), Link("", f"{name} {version}", reverse("web:release-version", args=[pk]), "package", "version"))
        for pk, name, version in rows
    ]


def _rollouts(ids: list[str]) -> Found:
    rows = Rollout.objects.filter(pk__in=ids).values_list("pk", "service__name", "environment__name")
    return [
        (str(pk), Link("", f"{name} · {environment}", reverse("web:release-rollout", args=[pk]), "route", "rollout"))
        for pk, name, environment in rows
    ]


def _environments(ids: list[str]) -> Found:
    rows = Environment.objects.filter(pk__in=ids).only("pk", "name")
    url = reverse("web:release-environments")
    return [(str(row.pk), Link("", row.name, url, "layers", "environment")) for row in rows]


def _templates(ids: list[str]) -> Found:
    rows = ChangeTemplate.objects.filter(pk__in=ids).only("pk", "name", "title")
    return [
        (str(row.pk), Link("", row.title, reverse("web:change-entry", args=[row.name]), "library", "standard change"))
        for row in rows
    ]


def _holds(ids: list[str]) -> Found:
    rows = Hold.objects.filter(pk__in=ids).values_list("pk", "reason", "resource_id")
    return [
        (str(pk), Link("", reason[:120], reverse("web:resource", args=[resource]), "wrench", "hold"))
        for pk, reason, resource in rows
    ]


def _baselines(ids: list[str]) -> Found:
    return [
        (str(row.pk), Link("", str(row), reverse("web:baseline", args=[row.name]), "list-checks", "baseline"))
        for row in Baseline.objects.filter(pk__in=ids).only("pk", "name", "title")
    ]


def _users(ids: list[str]) -> Found:
    rows = User.objects.filter(pk__in=ids).only("pk", "username", "display_name")
    return [(str(row.pk), Link("", str(row), reverse("web:people"), "user", "user")) for row in rows]


def _teams(ids: list[str]) -> Found:
    return [
        (str(row.pk), Link("", row.name, reverse("web:people"), "users", "team"))
        for row in Team.objects.filter(pk__in=ids)
    ]


def _tokens(ids: list[str]) -> Found:
    rows = ApiToken.objects.filter(pk__in=ids).only("pk", "name")
    return [(str(row.pk), Link("", row.name, reverse("web:people"), "key-round", "token")) for row in rows]


RESOLVERS: dict[tuple[str, str], Resolver] = {
    ("inventory", "resource"): _resources,
    ("inventory", "sourceconfig"): _sources,
    ("incidents", "incident"): _incidents,
    ("incidents", "postmortem"): _postmortems,
    ("incidents", "improvement"): _improvements,
    ("alerting", "alertgroup"): _groups,
    ("alerting", "alert"): _alerts,
    ("alerting", "rulefile"): _files,
    ("alerting", "objective"): _objectives,
    ("telemetry", "dashboard"): _dashboards,
    ("runbooks", "procedure"): _procedures,
    ("runbooks", "run"): _runs,
    ("core", "approval"): _approvals,
    ("changes", "deployment"): _deployments,
    ("changes", "change"): _changes,
    ("changes", "changetemplate"): _templates,
    ("changes", "release"): _releases,
    ("changes", "artefact"): _artefacts,
    ("changes", "rollout"): _rollouts,
    ("changes", "environment"): _environments,
    ("inventory", "hold"): _holds,
    ("changes", "requirement"): _requirements,
    ("changes", "option"): _options,
    ("changes", "decision"): _decisions,
    ("changes", "scorecard"): _scorecards,
    ("changes", "baseline"): _baselines,
    ("changes", "drift"): _drift,
    ("changes", "playbook"): _playbooks,
    ("changes", "workspace"): _workspaces,
    ("changes", "plan"): _plans,
    ("core", "user"): _users,
    ("core", "team"): _teams,
    ("core", "apitoken"): _tokens,
}


def resolve(refs: Iterable[str]) -> dict[str, Link]:
    """Return a Link for every ref; what is gone, or has no page, is shown as the ref itself."""
    links: dict[str, Link] = {}
    wanted: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for text in set(refs):
        links[text] = Link(text, text, "", "circle-dot", "")
        try:
            parsed = parse(text)
        except ValueError:
            continue
        links[text] = Link(text, f"{parsed.noun} {parsed.id[:8]}", "", "circle-dot", parsed.noun)
        if (parsed.room, parsed.noun) in RESOLVERS and _is_uuid(parsed.id):
            wanted[(parsed.room, parsed.noun)][parsed.id] = text
    for noun, ids in wanted.items():
        for id_, link in RESOLVERS[noun](list(ids)):
            links[ids[id_]] = Link(ids[id_], link.title, link.url, link.icon, link.kind)
    return links


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
