"""Which service, version and environment a report is about: by the first rule of its sender that fits. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from django.utils.translation import gettext_lazy as _

from tongchou.changes.deployment import LENGTHS, Report
from tongchou.changes.told import Ignored, Told, too_old
from tongchou.core.problems import Invalid

MAX_RULES = 100
PATTERNS = ("name", "part", "environment", "ref")
RESULTS = ("service", "version", "to_environment")
VERSIONS = ("", "sha", "short_sha", "tag", "ref", "build", "artifact")
SHORT = 12
UNKNOWN = "unknown"
_PLACE = re.compile(r"\{([A-Za-z0-9_.-]{1,80})\}")


@dataclass(frozen=True, slots=True)
class Rule:
    """Globs that must all fit (empty: anything), and what follows. `ignore`: it is no deployment.

    `service` and `to_environment` may hold {name} (last part of the name), {full}, {part}, {ref}, {environment} and
    {param.NAME}; empty means the usual. `version` is one of VERSIONS, or a text with such places.
    """

    name: str = ""
    part: str = ""
    environment: str = ""
    ref: str = ""
    service: str = ""
    version: str = ""
    to_environment: str = ""
    ignore: bool = False

    def fits(self, told: Told) -> bool:
        """Whether every glob fits; case counts."""
        return all(
            not glob or fnmatchcase(getattr(told, field), glob)
            for field, glob in ((each, getattr(self, each)) for each in PATTERNS)
        )


def read_rules(listed: Any) -> list[dict[str, Any]]:
    """Check rules given as a list of objects; returns them with every field. Raises Invalid naming the place."""
    if not isinstance(listed, list) or len(listed) > MAX_RULES:
        raise Invalid(
            "deployment_source.rules", _("At most %(most)s rules in a list are wanted.") % {"most": MAX_RULES},
            field="rules", remedy=_("Use globs, such as acme/*."),
        )  # fmt: skip
    return [asdict(_rule(each, f"rules[{place}]")) for place, each in enumerate(listed)]


def _rule(given: Any, place: str) -> Rule:
    known = {*PATTERNS, *RESULTS, "ignore"}
    if not isinstance(given, Mapping) or set(given) - known:
        raise Invalid(
            "deployment_source.rules", _("A rule is an object with some of: %(words)s.") % {"words": ", ".join(known)},
            field=place,
        )  # fmt: skip
    values: dict[str, Any] = {}
    for name in (*PATTERNS, *RESULTS):
        value = given.get(name) or ""
        if not isinstance(value, str) or len(value) > 253 or any(ord(letter) < 32 for letter in value):
            raise Invalid(
                "deployment_source.rules", _("A text of at most 253 characters is wanted."), field=f"{place}.{name}"
            )
        values[name] = value.strip()
    if values["version"] not in VERSIONS and "{" not in values["version"]:
        raise Invalid(
            "deployment_source.rules",
            _("One of sha, short_sha, tag, ref, build, artifact, or a text with places such as {param.VERSION}."),
            field=f"{place}.version",
            value=values["version"],
        )
    ignore = given.get("ignore") or False
    if not isinstance(ignore, bool):
        raise Invalid("deployment_source.rules", _("It must be true or false."), field=f"{place}.ignore")
    return Rule(**values, ignore=ignore)


def report_of(told: Told, rules: Sequence[Mapping[str, Any]], now: datetime) -> Report | Ignored:
    """Return the deployment that a report is of, or why it is none.

    Without a rule the service is what was said outright, else the last part of the name; its version what was said,
    else tag, the artifact's version, the short hash, ref, build. What may be anything wants a rule.
    """
    rule = next((each for each in (Rule(**each) for each in rules) if each.fits(told)), None)
    if rule is None and told.wants_rule and not told.service:
        return Ignored("no_rule", told.event)
    if rule is not None and rule.ignore:
        return Ignored("rule_ignores", told.event)
    if too_old(told.at, now):
        return Ignored("too_old", told.event)
    rule = rule or Rule()
    places = _places(told)
    service = told.service or _filled(rule.service, places) or places["name"]
    return Report(
        delivery_id=told.key,
        service=service[: LENGTHS["service"]] or UNKNOWN,
        version=_version(told, rule, places)[: LENGTHS["version"]] or UNKNOWN,
        previous_version="",
        environment=(_filled(rule.to_environment, places) or told.environment)[: LENGTHS["environment"]],
        status=told.status,
        started_at=min(told.started_at, told.finished_at or told.started_at),
        finished_at=told.finished_at,
        url=told.url,
        actor=told.actor[: LENGTHS["actor"]],
        at=told.at,
        stage=told.stage,
        tier=told.tier.lower()[: LENGTHS["tier"]],
        commit_sha=told.sha.lower()[: LENGTHS["commit_sha"]],
        commit_at=told.commit_at,
        commits=told.commits,
        artifact=told.artifact[: LENGTHS["artifact"]],
        rollback=told.rollback,
        unplanned=told.unplanned,
        incident_number=told.incident_number,
    )


def _places(told: Told) -> dict[str, str]:
    plain = {"full": told.name, "part": told.part, "ref": told.ref, "environment": told.environment}
    plain["name"] = told.name.rstrip("/").rpartition("/")[2]
    return plain | {f"param.{name}": value for name, value in told.parameters.items()}


def _filled(template: str, places: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda found: places.get(found[1], ""), template).strip()


def _version(told: Told, rule: Rule, places: Mapping[str, str]) -> str:
    if "{" in rule.version:
        return _filled(rule.version, places)
    short = told.sha[:SHORT]
    named = {
        "sha": told.sha, "short_sha": short, "tag": told.tag, "ref": told.ref, "build": told.build,
        "artifact": artifact_version(told.artifact),
    }  # fmt: skip
    if rule.version:
        return named[rule.version] or told.version or short
    return told.version or told.tag or named["artifact"] or short or told.ref or told.build


def artifact_version(artifact: str) -> str:
    """Return the version in a package URL (the tag of an image before its digest) or an image's name; else nothing."""
    if not artifact:
        return ""
    head, _mark, query = artifact.partition("?")
    if artifact.startswith("pkg:"):
        tags = [each[4:] for each in query.partition("#")[0].split("&") if each.startswith("tag=")]
        found = unquote(tags[0] if tags else head.partition("@")[2])
    else:
        name, _mark, digest = head.partition("@")
        found = name.rpartition("/")[2].partition(":")[2] or digest
    return found.removeprefix("sha256:")[:SHORT] if found.startswith("sha256:") else found
