"""What an operator may change while alerting runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.alerting.matchers import parse
from tongchou.alerting.suppress import InhibitRule
from tongchou.core.problems import Invalid
from tongchou.core.settings_store import register

GROUP_BY = "alerting.group_by"
INTERVAL = "alerting.evaluation_interval_seconds"
GROUP_INTERVAL = "alerting.group_interval_seconds"
REPEAT_INTERVAL = "alerting.repeat_interval_seconds"
RELEASE_WAIT = "alerting.release_wait_seconds"
INHIBIT_RULES = "alerting.inhibit_rules"
HOLD_DEPENDANTS = "alerting.hold_dependants"
SELF_RULES = "alerting.self_rules"
OWN_SERVICES = "alerting.own_services"
MAX_INHIBIT_RULES = 200


def _labels(value: Any) -> str | Promise | None:
    if all(isinstance(name, str) and re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in value):
        return None
    return _("A list of label names is wanted.")


def _interval(value: Any) -> str | Promise | None:
    return None if 1 <= value <= 3600 else _("A number of seconds between 1 and 3600 is wanted.")


def _seconds(least: int, most: int) -> Callable[[Any], str | Promise | None]:
    def fits(value: Any) -> str | Promise | None:
        if least <= value <= most:
            return None
        return _("A number of seconds between %(least)s and %(most)s is wanted.") % {"least": least, "most": most}

    return fits


def _repeat(value: Any) -> str | Promise | None:
    return None if value == 0 else _seconds(60, 2_592_000)(value)


def _names(value: Any) -> str | Promise | None:
    if all(isinstance(name, str) and 0 < len(name) <= 200 for name in value):
        return None
    return _("A list of names is wanted.")


def inhibit_rules(value: list[Any]) -> list[InhibitRule]:
    """The rules of the setting; raises Invalid."""
    if len(value) > MAX_INHIBIT_RULES:
        raise Invalid("inhibit_rules.count", _("At most %(most)s rules.") % {"most": MAX_INHIBIT_RULES})
    return [_inhibit_rule(each, number) for number, each in enumerate(value)]


def _inhibit_rule(each: Any, number: int) -> InhibitRule:
    keys = {"source_matchers", "target_matchers", "equal"}
    if not isinstance(each, dict) or set(each) - keys or not {"source_matchers", "target_matchers"} <= set(each):
        raise Invalid(
            "inhibit_rules.shape",
            _("Rule %(number)s: an object with source_matchers, target_matchers and equal is wanted.")
            % {"number": number},
        )
    equal = each.get("equal", [])
    if not isinstance(equal, list) or _labels(equal):
        raise Invalid("inhibit_rules.equal", _("Rule %(number)s: equal is a list of label names.") % {"number": number})
    sides = []
    for key in ("source_matchers", "target_matchers"):
        given = each[key]
        if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
            raise Invalid("inhibit_rules.matchers", _("Rule %(number)s: matchers are texts.") % {"number": number})
        sides.append(tuple(parse("\n".join(given))))
    return InhibitRule(sides[0], sides[1], tuple(equal))


def _rules(value: Any) -> str | Promise | None:
    try:
        inhibit_rules(value)
    except Invalid as error:
        return error.detail
    return None


register(
    GROUP_BY,
    list,
    ["service"],
    _("Labels by which alerts are grouped; an alert without any of them is grouped by name."),
    validate=_labels,
)
register(INTERVAL, int, 15, _("Seconds between evaluations of rule groups that set no interval."), validate=_interval)
register(
    GROUP_INTERVAL,
    int,
    300,
    _("Seconds between two notices about an open group when alerts join it."),
    validate=_seconds(10, 86_400),
)
register(
    REPEAT_INTERVAL,
    int,
    14_400,
    _("Seconds after which an open group that nobody acknowledged is told again; 0: never."),
    validate=_repeat,
)
register(
    RELEASE_WAIT,
    int,
    120,
    _("Seconds a group is given to end by itself when what explained or inhibited it has ended."),
    validate=_seconds(0, 3600),
)
register(
    INHIBIT_RULES,
    list,
    [],
    _("Inhibition: objects with source_matchers, target_matchers and equal, as in Alertmanager's configuration."),
    validate=_rules,
)
register(
    HOLD_DEPENDANTS,
    bool,
    True,
    _("Do not notify of alerts about resources that need a resource that is down and told of; incidents still open."),
)
register(
    OWN_SERVICES,
    list,
    ["tongchou"],
    _("Values of the labels service and job that are the monitoring itself: never held because something is down."),
    validate=_names,
)
register(
    SELF_RULES,
    str,
    "",
    _("The digest of the platform's own rule file as it was last installed."),
    elsewhere=_("The platform keeps it; change or delete the rule file tongchou-self.yml instead."),
)
