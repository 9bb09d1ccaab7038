"""Expands the templates of a rule's labels and annotations for one element of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from tongchou.alerting.gotemplate.builtins import BUILTINS, LAZY
from tongchou.alerting.gotemplate.errors import TemplateError
from tongchou.alerting.gotemplate.execute import execute
from tongchou.alerting.gotemplate.functions import FunctionSet
from tongchou.alerting.gotemplate.nodes import Template
from tongchou.alerting.gotemplate.parse import parse
from tongchou.alerting.gotemplate.prometheus import Query, functions
from tongchou.alerting.gotemplate.values import StringMap, Struct

_VARIABLES = ("labels", "externalLabels", "externalURL", "value")
_NAMES = frozenset(functions(lambda _text: [], "", 0.0)) | frozenset(BUILTINS) | frozenset(LAZY)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What templates of one evaluation share: the query callback, the address of the platform, its labels, the time."""

    query: Query
    external_url: str
    at_seconds: float
    external_labels: Mapping[str, str]

    def functions(self) -> FunctionSet:
        """Prometheus's functions bound to this evaluation."""
        return functions(self.query, self.external_url, self.at_seconds)


@lru_cache(maxsize=4096)
def check_template(text: str) -> Template:
    """The parsed template, with Prometheus's functions and the variables rules may use; raises ParseError."""
    return parse(text, _NAMES, _VARIABLES)


def expand(text: str, labels: Mapping[str, str], value: float, bound: FunctionSet, around: Surroundings) -> str:
    """``text`` expanded; a template that fails yields ``<error expanding template: ...>``, as in Prometheus."""
    if "{{" not in text:
        return text
    own, external = StringMap(labels), StringMap(around.external_labels)
    data = Struct(
        "template.alertTemplateData",
        {"Labels": own, "ExternalLabels": external, "ExternalURL": around.external_url, "Value": value},
    )
    variables = {"labels": own, "externalLabels": external, "externalURL": around.external_url, "value": value}
    try:
        return execute(check_template(text), data, bound, variables)
    except TemplateError as error:
        return f"<error expanding template: {error.message}>"
