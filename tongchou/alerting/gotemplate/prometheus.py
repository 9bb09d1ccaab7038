"""The functions Prometheus adds for rule files (template/template.go of Prometheus 3)."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable, Sequence

import re2

from tongchou.alerting.durations import parse_seconds
from tongchou.alerting.gotemplate import humanize
from tongchou.alerting.gotemplate.errors import LimitError, Unfit
from tongchou.alerting.gotemplate.formatting import MAX_TEXT_CHARACTERS
from tongchou.alerting.gotemplate.functions import Function, FunctionSet
from tongchou.alerting.gotemplate.values import Sample

Query = Callable[[str], Sequence[Sample]]

_MAX_SAMPLES = 10_000
_EXPAND = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def functions(query: Query, external_url: str, now_seconds: float) -> FunctionSet:
    """The set bound to one evaluation; ``query`` is the only way out and may raise ValueError."""

    def run(text: str) -> list[Sample]:
        result = list(query(text))
        if len(result) > _MAX_SAMPLES:
            raise Unfit(f"query returned more than {_MAX_SAMPLES} samples")
        return result

    return {
        "query": Function(run, ("string",)),
        "externalURL": Function(lambda: external_url, ()),
        "pathPrefix": Function(lambda: urllib.parse.urlsplit(external_url).path, ()),
        "now": Function(lambda: now_seconds, ()),
        "tmpl": Function(lambda _name, _data: "", ("string", "any")),
        **_PURE,
    }


def _first(vector: list[Sample]) -> Sample:
    if not vector:
        raise Unfit("first() called on vector with no elements")
    return vector[0]


def title(text: str) -> str:
    """strings.Title: the first letter of each word in upper case, the others as they are."""
    return re.sub(r"(?<![\w'])[^\W\d_]", lambda found: found.group().upper(), text)


def compiled(pattern: str) -> re2._Regexp[str]:
    """``pattern`` in RE2 syntax; raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise Unfit(f"error parsing regexp: {error}") from None


def matches(pattern: str, text: str) -> bool:
    """regexp.MatchString: anywhere in the text."""
    return compiled(pattern).search(text) is not None


def replace_all(pattern: str, replacement: str, text: str) -> str:
    """regexp.ReplaceAllString with $1, ${1} and ${name}; an unknown group is empty."""
    expression = compiled(pattern)
    names = expression.groupindex
    left = MAX_TEXT_CHARACTERS

    def expand(found: re2._Match[str]) -> str:
        nonlocal left

        def group(reference: re.Match[str]) -> str:
            if reference.group() == "$$":
                return "$"
            name = reference.group(1) or reference.group(2)
            number = int(name) if name.isdigit() else names.get(name, -1)
            return (found.group(number) or "") if 0 <= number <= expression.groups else ""

        expanded = _EXPAND.sub(group, replacement)
        left -= len(expanded)
        if left < 0:
            raise LimitError(f"text is longer than {MAX_TEXT_CHARACTERS} characters")
        return expanded

    replaced: str = expression.sub(expand, text)
    return replaced


def _split_host_port(address: str) -> tuple[str, str] | None:
    """net.SplitHostPort; None where Go returns an error."""
    if address.startswith("["):
        host, closing, port = address[1:].partition("]:")
        return (host, port) if closing and not re.search(r"[\[\]:]", port) and "[" not in host else None
    host, colon, port = address.rpartition(":")
    if not colon or ":" in host or "[" in address or "]" in address:
        return None
    return host, port


def strip_port(address: str) -> str:
    """The host of host:port; anything else unchanged."""
    split = _split_host_port(address)
    return split[0] if split else address


def strip_domain(address: str) -> str:
    """The first part of a host name, port kept; addresses unchanged."""
    split = _split_host_port(address)
    host, port = split or (address, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        short = host.split(".")[0]
        if not port:
            return short
        return f"[{short}]:{port}" if ":" in short else f"{short}:{port}"
    return address


def _link(expression: str, tab: int) -> str:
    return f"/graph?g0.expr={urllib.parse.quote_plus(expression)}&g0.tab={tab}"


_PURE: FunctionSet = {
    "first": Function(_first, ("vector",)),
    "label": Function(lambda name, sample: sample.labels.get(name, ""), ("string", "sample")),
    "value": Function(lambda sample: sample.value, ("sample",)),
    "strvalue": Function(lambda sample: sample.labels.get("__value__", ""), ("sample",)),
    "args": Function(lambda *values: {f"arg{number}": value for number, value in enumerate(values)}, ("*any",)),
    "reReplaceAll": Function(replace_all, ("string", "string", "string")),
    "safeHtml": Function(lambda text: text, ("string",)),
    "match": Function(matches, ("string", "string")),
    "title": Function(title, ("string",)),
    "toUpper": Function(lambda text: text.upper(), ("string",)),
    "toLower": Function(lambda text: text.lower(), ("string",)),
    "graphLink": Function(lambda expression: _link(expression, 0), ("string",)),
    "tableLink": Function(lambda expression: _link(expression, 1), ("string",)),
    "sortByLabel": Function(
        lambda name, vector: sorted(vector, key=lambda sample: sample.labels.get(name, "")), ("string", "vector")
    ),
    "stripPort": Function(strip_port, ("string",)),
    "stripDomain": Function(strip_domain, ("string",)),
    "humanize": Function(humanize.humanize, ("any",)),
    "humanize1024": Function(humanize.humanize1024, ("any",)),
    "humanizeDuration": Function(humanize.humanize_duration, ("any",)),
    "humanizePercentage": Function(humanize.humanize_percentage, ("any",)),
    "humanizeTimestamp": Function(humanize.humanize_timestamp, ("any",)),
    "toTime": Function(humanize.to_time, ("any",)),
    "parseDuration": Function(parse_seconds, ("string",)),
}
