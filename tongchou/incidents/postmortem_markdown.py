"""A postmortem as one Markdown text, in the active language and time zone: to keep, send or diff. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from tongchou.incidents.models import Cause, Improvement, Postmortem
from tongchou.incidents.postmortem_document import Document

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def write(
    postmortem: Postmortem, document: Document, causes: Iterable[Cause], improvements: Sequence[Improvement]
) -> str:
    """The whole text. Facts are escaped; people's own text stays as they wrote it, under a heading of its own."""
    kind = _("Postmortem")
    parts = [f"# {kind}: {plain(document.title)}", _head(postmortem, document), _figures(document)]
    written = [each for each in document.sections if each.text.strip()]
    parts += [f"## {each.title}\n\n{_deeper(each.text.strip())}" for each in written]
    parts += [
        _part(_("Impact"), _impact(document)),
        _part(_("Timeline"), _timeline(document)),
        _part(_("Suspects as ranked then"), _suspects(document)),
        _part(_("What was run"), _runs(document)),
        _part(_("Alerts"), _alerts(document)),
        _part(_("Contributing causes"), _causes(causes)),
        _part(_("Improvements"), _improvements(improvements)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: object) -> str:
    """A fact on one line, its Markdown characters escaped."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _deeper(text: str) -> str:
    """Headings of people's text two levels down, so that they stay inside their section."""
    return re.sub(r"^(#{1,4})(?=\s)", r"##\1", text, flags=re.MULTILINE)


def _part(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(lines) if lines else ""


def _time(moment: datetime | None) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S %z") if moment else "–"


def seconds(value: float | None) -> str:
    """A length of time in words that both languages read: 1 h 02 min, 3 min 05 s."""
    if value is None:
        return "–"
    whole = round(value)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole // 3600 % 24} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole // 60 % 60:02} min"
    return f"{whole // 60} min {whole % 60:02} s" if whole >= 60 else f"{whole} s"


def _head(postmortem: Postmortem, document: Document) -> str:
    facts = (
        (_("Severity"), document.severity),
        (_("State"), postmortem.get_state_display()),
        (_("Facts as of"), _time(document.taken_at)),
    )
    lines = [f"- {name}: {value}" for name, value in facts]
    if postmortem.edition:
        told = {"edition": postmortem.edition, "by": plain(postmortem.published_by_name)}
        lines.append(
            "- " + _("Edition %(edition)s, published by %(by)s") % told + f", {_time(postmortem.published_at)}"
        )
    if postmortem.content_hash:
        lines.append(f"- SHA-256: `{postmortem.content_hash}`")
    return "\n".join(lines)


def _figures(document: Document) -> str:
    rows = [f"| {word} | {_time(at)} |" for _name, word, at in document.instants]
    rows += [f"| {word} | {seconds(value)} |" for _name, word, value in document.durations]
    what, when = _("What"), _("When, how long")
    return "\n".join([f"| {what} | {when} |", "|---|---|", *rows])


def _impact(document: Document) -> list[str]:
    unknown = _("no data: how much of the error budget was used is unknown")
    lines = [f"- {plain(document.money)}"]
    for each in document.objectives:
        if each["used"] is None:
            lines.append(f"- {plain(each['name'])}: {unknown}")
            continue
        told = {"name": plain(each["name"]), "used": f"{100 * each['used']:.1f}", "left": _percent(each["left_after"])}
        lines.append("- " + _("%(name)s: %(used)s %% of the error budget was used; %(left)s is left.") % told)
    if document.affected:
        named = ", ".join(f"{plain(each['name'])} ({each['role_word']})" for each in document.affected)
        affected = _("Affected")
        lines.append(f"- {affected}: {named}")
    return lines


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _timeline(document: Document) -> list[str]:
    lines, remark = [], _("Remark")
    for each in document.shown:
        actor = f" ({plain(each.actor)})" if each.actor else ""
        lines.append(f"- {_time(each.at)}{actor} {plain(each.text)}")
        if each.note:
            lines.append(f"  - {remark}: {plain(each.note)}")
    return lines


def _suspects(document: Document) -> list[str]:
    lines = []
    for each in document.suspects:
        lines.append(f"{each.rank}. {plain(each.title)} ({each.score:g})")
        lines += [f"   - {plain(text)} ({weight:+g})" for text, weight in each.reasons]
    return lines


def _runs(document: Document) -> list[str]:
    lines = []
    for each in document.runs:
        facts = [plain(each["state"]), _("asked by %(name)s") % {"name": plain(each["requested_by"])}]
        if each["approved_by"]:
            facts.append(_("approved by %(name)s") % {"name": plain(each["approved_by"])})
        lines.append(
            f"- {_time(each['requested_at'])} {plain(each['procedure'])} v{each['version']}: {', '.join(facts)}"
        )
    return lines


def _alerts(document: Document) -> list[str]:
    lines = []
    for each in document.alerts:
        held = f" [{each['held']}]" if each["suppressed"] else ""
        summary = f": {plain(each['summary'])}" if each["summary"] else ""
        lines.append(f"- {_time(each['active_at'])} {plain(each['name'])}{summary}{held}")
    return lines


def _causes(causes: Iterable[Cause]) -> list[str]:
    lines, evidence = [], _("Evidence")
    for each in causes:
        lines.append(f"- **{each.get_kind_display()}**: {plain(each.description)}")
        if each.evidence:
            lines.append(f"  - {evidence}: `{each.evidence.replace('`', '')}`")
    return lines


def _improvements(improvements: Sequence[Improvement]) -> list[str]:
    if not improvements:
        return []
    names = (_("Improvement"), pgettext("improvement", "Owner"), _("Due"), _("State"), _("Proof"))
    lines = [f"| {' | '.join(names)} |", "|---|---|---|---|---|"]
    for each in improvements:
        proof = plain(each.no_check_reason)
        if each.has_check:
            days = _("green for %(days)s days") % {"days": each.green_days}
            proof = f"{plain(each.check_query)} {plain(each.check_is)}, {days}"
        owner = plain(each.owner or each.owner_team or "–")
        lines.append(
            f"| {each.name} {plain(each.title)} | {owner} | {each.due_on} | {each.get_state_display()} | {proof} |"
        )
    return lines
