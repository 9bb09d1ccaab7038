"""Policy checks of plans: a few declarative rules, each with the reason its author gives. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.changes.iac_globs import fits, fits_any
from tongchou.changes.iac_plan import UNKNOWN
from tongchou.core.problems import Invalid

MAX_RULES = 50
MAX_NAMED = 20  # resources one finding names
MAX_TEXT = 500
LEVELS = ("warn", "deny")
VERDICTS = ("pass", "warn", "deny")
# rule -> (the keys it has besides rule, level and reason; which of them it must have; what it says)
RULES: dict[str, tuple[frozenset[str], frozenset[str], str | Promise]] = {
    "no_destroy": (frozenset({"types", "addresses"}), frozenset(), gettext_lazy("destroys what may not be destroyed")),
    "no_replace": (frozenset({"types", "addresses"}), frozenset(), gettext_lazy("replaces what may not be replaced")),
    "no_create": (frozenset({"types", "addresses"}), frozenset({"types"}), gettext_lazy("creates a type not allowed")),
    "tags_required": (frozenset({"types", "tags"}), frozenset({"tags"}), gettext_lazy("lacks tags")),
    "max_altered": (frozenset({"most"}), frozenset({"most"}), gettext_lazy("alters too many resources at once")),
    "max_destroyed": (frozenset({"most"}), frozenset({"most"}), gettext_lazy("destroys too many resources at once")),
    "forbidden_value": (
        frozenset({"types", "path", "values"}),
        frozenset({"path", "values"}),
        gettext_lazy("has a value that is not allowed"),
    ),
}
TAGS = ("tags", "tags_all", "labels", "effective_labels")


@dataclass(frozen=True)
class Finding:
    """What a rule found: `level` warn or deny, the reason of its author, the resources it is about."""

    rule: str
    level: str
    reason: str
    about: tuple[str, ...]
    count: int
    source: str = "own"

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "rule": self.rule,
            "level": self.level,
            "reason": self.reason,
            "about": list(self.about),
            "count": self.count,
            "source": self.source,
        }


def says(rule: str) -> str:
    """What a rule finds, in words of the active language; the rule's own name when it is no rule of ours."""
    return str(RULES[rule][2]) if rule in RULES else rule


def checked(rules: Any) -> list[dict[str, Any]]:
    """Return the rules as they are kept; raises Invalid naming the place of the first that will not do."""
    if not isinstance(rules, list) or len(rules) > MAX_RULES:
        raise _refused("policy", rules, _("A list of at most %(n)s rules is wanted.") % {"n": MAX_RULES})
    return [_rule(each, f"policy[{at}]") for at, each in enumerate(rules)]


def _refused(field: str, value: object, detail: str | Promise) -> Invalid:
    remedy = _('A rule is like {"rule": "no_destroy", "types": ["aws_db_*"], "level": "deny", "reason": "..."}.')
    return Invalid("workspace.policy", detail, field=field, value=value, remedy=remedy)


def _rule(rule: Any, field: str) -> dict[str, Any]:
    name = rule.get("rule") if isinstance(rule, dict) else None
    if name not in RULES:
        raise _refused(field, name, _("There is no such rule. There are: %(rules)s.") % {"rules": ", ".join(RULES)})
    keys, needed, _says = RULES[name]
    extra = set(rule) - keys - {"rule", "level", "reason"}
    missing = needed - set(rule)
    if extra or missing:
        raise _refused(field, ", ".join(sorted(extra or missing)), _("These keys are unknown to the rule, or missing."))
    out: dict[str, Any] = {"rule": name, "level": rule.get("level", "deny"), "reason": str(rule.get("reason") or "")}
    if out["level"] not in LEVELS:
        raise _refused(f"{field}.level", out["level"], _("The level is warn or deny."))
    if not out["reason"].strip() or len(out["reason"]) > MAX_TEXT:
        raise _refused(f"{field}.reason", "", _("Say why, in at most %(n)s characters.") % {"n": MAX_TEXT})
    for key in keys & set(rule):
        out[key] = _given(key, rule[key], f"{field}.{key}")
    return out


def _given(key: str, value: Any, field: str) -> Any:
    if key == "most":
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100_000:
            return value
        raise _refused(field, value, _("A number from 0 to 100,000 is wanted."))
    if key == "path":
        if isinstance(value, str) and 0 < len(value) <= MAX_TEXT:
            return value
        raise _refused(field, value, _("The path of an attribute is wanted, such as ingress[*].cidr_blocks[*]."))
    if isinstance(value, list) and value and len(value) <= 100 and all(_plain(each) for each in value):
        return [each if key == "values" else str(each) for each in value]
    raise _refused(field, value, _("A list of 1 to 100 texts is wanted."))


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MAX_TEXT)


def judge(
    summary: Mapping[str, Any], counts: Mapping[str, int], rules: Sequence[Mapping[str, Any]]
) -> tuple[str, list[Finding]]:
    """Return the verdict (pass, warn, deny: the worst of the findings) and the findings, in the rules' order."""
    found = [finding for rule in rules if (finding := _one(rule, summary, counts)) is not None]
    if summary.get("left_out") and any(rule["rule"] in ("tags_required", "forbidden_value") for rule in rules):
        why = _("The plan is too large to look at each resource.")
        found.append(Finding("too_large", "deny", why, (), int(summary["left_out"])))
    return worst(found), found


def worst(findings: Sequence[Finding]) -> str:
    """The verdict of several findings."""
    return max((each.level for each in findings), key=VERDICTS.index, default="pass")


def _one(rule: Mapping[str, Any], summary: Mapping[str, Any], counts: Mapping[str, int]) -> Finding | None:
    if rule["rule"] in ("max_altered", "max_destroyed"):
        names = ("create", "update", "replace", "delete") if rule["rule"] == "max_altered" else ("replace", "delete")
        number = sum(counts.get(name, 0) for name in names)
        return Finding(rule["rule"], rule["level"], rule["reason"], (), number) if number > rule["most"] else None
    about = list(dict.fromkeys(_about(rule, summary)))
    if not about:
        return None
    return Finding(rule["rule"], rule["level"], rule["reason"], tuple(about[:MAX_NAMED]), len(about))


def _about(rule: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[str]:
    for each in summary.get("changes") or ():
        if each["mode"] == "managed" and _meant(rule, each) and _breaks(rule, each):
            yield each["address"]


def _meant(rule: Mapping[str, Any], each: Mapping[str, Any]) -> bool:
    types, addresses = rule.get("types"), rule.get("addresses")
    return (not types or fits_any(types, each["type"])) and (not addresses or fits_any(addresses, each["address"]))


def _breaks(rule: Mapping[str, Any], each: Mapping[str, Any]) -> bool:
    name, action = rule["rule"], each["action"]
    if name == "no_destroy":
        return action in ("delete", "replace", "forget")
    if name == "no_replace":
        return bool(action == "replace")
    if name == "no_create":
        return action in ("create", "replace")
    if action not in ("create", "update", "replace"):
        return False
    if name == "tags_required":
        return bool(_lacking(rule["tags"], each))
    return any(_forbidden(rule, attribute) for attribute in each["attributes"])


def _lacking(tags: Sequence[str], each: Mapping[str, Any]) -> list[str]:
    """Tags a created resource does not have, or an altered one loses. What is known after apply counts as there."""
    after = {attribute["path"]: attribute for attribute in each["attributes"]}
    if any(after[name]["unknown"] for name in TAGS if name in after):
        return []
    out = []
    for tag in tags:
        paths = [path for name in TAGS for path in (f"{name}.{tag}", f'{name}["{tag}"]')]
        told = [after[path] for path in paths if path in after]
        if each["action"] == "update":
            lost = told and all(item["after"] in (None, "") for item in told)
        else:
            lost = not any(item["after"] not in (None, "") for item in told)
        out += [tag] if lost else []
    return out


def _forbidden(rule: Mapping[str, Any], attribute: Mapping[str, Any]) -> bool:
    if attribute["sensitive"] or attribute["after"] in (None, UNKNOWN):
        return False
    return fits(rule["path"], attribute["path"]) and attribute["after"] in rule["values"]
