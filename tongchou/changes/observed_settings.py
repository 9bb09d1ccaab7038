"""What an operator may change about what sources observe while the platform runs."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.changes.observed_facts import MOST_PATTERNS, wrong
from tongchou.core.settings_store import register

FACTS = "changes.observed_facts"
LISTENERS = "changes.observed_listeners"
SCHEMAS = "changes.observed_schemas"
DEPLOYMENTS = "changes.observed_deployments"
ATTRIBUTES = "changes.observed_attributes"
HIGH_PORTS = "changes.observed_high_ports"
MOST = "changes.observed_most"


def _patterns(value: Any) -> str | Promise | None:
    if len(value) > MOST_PATTERNS or any(not isinstance(each, str) or wrong(each) for each in value):
        return _("At most %(most)s texts of the form kind.attribute or -kind.attribute, * standing for anything.") % {
            "most": MOST_PATTERNS
        }
    return None


def _most(value: int) -> str | Promise | None:
    return None if 1 <= value <= 1000 else _("A number of resources from 1 to 1000 is wanted.")


register(FACTS, bool, True, _("Facts of a resource that a source sees changed under no change are to be explained."))
register(LISTENERS, bool, True, _("Ports that are listened on for the first time are to be explained."))
register(SCHEMAS, bool, True, _("Tables that a source sees created, altered or dropped are to be explained."))
register(DEPLOYMENTS, bool, True, _("Deployments under no change, where one is wanted, are to be explained."))
register(
    ATTRIBUTES,
    list,
    [],
    _("Further attributes that are facts of configuration, as kind.attribute; with - in front those that are none."),
    validate=_patterns,
)
register(HIGH_PORTS, bool, False, _("Ports of 32768 and above, which the kernel gives to anybody, count as well."))
register(
    MOST,
    int,
    10,
    _("Resources that one look may see changed the same way; what touches more is one item that names them."),
    validate=_most,
)
