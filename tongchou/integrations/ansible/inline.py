"""Which tasks may be written in a step itself: those that act on the target alone, and nothing in check mode. Pure.

A preview runs before anybody approved, with `--check`, as the platform's user. A task that reads a file of the
platform's host (`copy` with `src`, a lookup), acts there (`delegate_to`) or ignores check mode (`check_mode: false`)
would reach further than its author may. Whoever needs those keeps a playbook in the project folder, which is not
writable through the platform.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

MODULES = frozenset(
    """
    apt apt_key apt_repository assert blockinfile command copy cron debug dnf dnf5 fail file find get_url getent git
    group hostname iptables known_hosts lineinfile mount package package_facts ping pip raw reboot replace rpm_key
    service service_facts setup shell slurp stat sysctl systemd systemd_service tempfile uri user wait_for
    wait_for_connection yum yum_repository
    """.split()  # noqa: SIM905  # a paragraph of names reads better than a column
)
EXPRESSIONS = frozenset({"when", "changed_when", "failed_when", "until", "loop", "loop_control", "debug", "assert"})
KEYWORDS = EXPRESSIONS - {"debug", "assert"} | frozenset(
    """
    name register become become_user become_method ignore_errors ignore_unreachable no_log tags retries delay vars
    environment args diff timeout check_mode async poll
    """.split()  # noqa: SIM905  # a paragraph of names reads better than a column
)
BLOCKS = ("block", "rescue", "always")
FROM_HERE = ("copy", "uri")  # read `src` on the platform's host unless `remote_src` says otherwise
PLAIN_BODIES = ("raw", "json", "form-urlencoded")  # form-multipart sends files of the platform's host
READERS = frozenset({"slurp", "getent"})  # bring back what stands in a target's files
_LOOKUP = re.compile(r"\b(lookup|query|q|fileglob)\b|\{%[-+]?\s*(include|import|from|extends)\b")
_TESTS = r"""(ansible\.(builtin|legacy)\.)?(is_)?(file|dir|directory|link|link_exists|exists|mount|same_file)"""
# Filters and tests that look at the files or the environment of the platform's host, where templates are rendered.
_FILES = re.compile(
    rf"""\b(fileglob|expandvars|expanduser|realpath)\b|\bis\s+(not\s+)?{_TESTS}\b"""
    rf"""|\b(select|reject)(attr)?\b[^|]*["']{_TESTS}["']"""
)
_ALL_VARIABLES = re.compile(r"\b(ansible_become_pass(word)?|hostvars|vars)\b")
_HEADER = "#jinja2:"  # says which other brackets than {{ }} a text is rendered with
_CALL = re.compile(r"\b(lookup|query|q)\s*\(")
_CONNECTION = re.compile(r"\bansible_[a-z_]+\s*=(?!=)")


def problems(tasks: Any, at: str = "tasks") -> list[str]:
    """What is wrong with the tasks, each with its place; empty when nothing is."""
    return list(_tasks(tasks, at))


def before_approval(
    tasks: Sequence[Mapping[str, Any]], *, rescued: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """The tasks as a preview may run them, and the names of those that are left for after the approval.

    The one who asks reads the preview, and nobody has agreed yet that this person may read the target's files. So what
    brings back their content is skipped, and what a later task can show or write somewhere (`register`, or `rescued`:
    ansible_failed_result) has no diff, for that one holds whole files. The diff of other tasks is what a preview is
    for. The tasks have no `problems`.
    """
    out: list[dict[str, Any]] = []
    left: list[str] = []
    for task in tasks:
        shown = dict(task)
        for key in BLOCKS:
            if key in shown:
                shown[key], more = before_approval(shown[key], rescued=rescued or "rescue" in task)
                left += more
        if any(_reads(_short(key), value, task.get("args")) for key, value in task.items()):
            left.append(str(task.get("name") or next(key for key in task if _short(key) in MODULES)))
            shown = {key: value for key, value in shown.items() if key not in ("loop", "loop_control", "until")}
            shown["when"] = False
        elif rescued or "register" in task:
            shown["diff"] = False
        out.append(shown)
    return out, left


def _reads(module: str, given: Any, more: Any) -> bool:
    """`find` reads content too, when it is asked which files contain something."""
    asks = "contains" in str(given) + str(more)
    return module in READERS or (module == "find" and asks)


def _tasks(tasks: Any, at: str) -> Iterator[str]:
    if not isinstance(tasks, list) or not tasks:
        yield _("%(at)s is a list of tasks.") % {"at": at}
        return
    for number, task in enumerate(tasks):
        here = f"{at}[{number}]"
        if not isinstance(task, dict):
            yield _("%(at)s is a mapping.") % {"at": here}
        else:
            yield from _task(task, here)


def _task(task: Mapping[str, Any], at: str) -> Iterator[str]:
    others = [key for key in task if key not in KEYWORDS and key not in BLOCKS]
    for key in BLOCKS:
        if key in task:
            yield from _tasks(task[key], f"{at}.{key}")
    if "block" not in task and len(others) != 1:
        yield _("%(at)s has exactly one module; it has: %(found)s.") % {"at": at, "found": ", ".join(others) or "-"}
        return
    for key in others:
        module = _short(key)
        if module not in MODULES or "block" in task:
            yield _(
                "%(at)s: %(key)s may not stand in a step; keep such a task in a playbook of the project folder."
            ) % {"at": at, "key": key}
        else:
            yield from _arguments(module, task[key], task.get("args"), at)
    if task.get("check_mode", True) is not True:
        yield _("%(at)s: check_mode: false would run before anybody approved; remove it.") % {"at": at}
    if "register" in task and str(task["register"]).startswith("ansible_"):
        yield _("%(at)s: %(key)s may not be set here.") % {"at": at, "key": task["register"]}
    evaluated = not EXPRESSIONS.isdisjoint(_short(key) for key in others)
    for key, value in task.items():
        if key not in BLOCKS:
            yield from _values(value, at, expression=_short(key) in EXPRESSIONS or (evaluated and key == "args"))


def _short(key: str) -> str:
    return key.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")


def _arguments(module: str, given: Any, more: Any, at: str) -> Iterator[str]:
    """Arguments that are themselves a template could become any; `src` may name a file of the platform's host."""
    if not isinstance(more, dict | None) or (isinstance(given, str) and given.lstrip().startswith("{{")):
        yield _("%(at)s: write the arguments of %(key)s as a mapping.") % {"at": at, "key": module}
    if module not in FROM_HERE:
        return
    known = {**(more or {}), **(given if isinstance(given, dict) else {})} if isinstance(more, dict | None) else {}
    if not isinstance(given, dict) or ("src" in known and known.get("remote_src") is not True):
        says = _("%(at)s: %(key)s is written as a mapping, and takes src only with remote_src: true.")
        yield says % {"at": at, "key": module}
    if known.get("body_format", "raw") not in PLAIN_BODIES and known.get("remote_src") is not True:
        says = _("%(at)s: %(key)s takes this body_format only with remote_src: true.")
        yield says % {"at": at, "key": module}


def _values(value: Any, at: str, *, expression: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if str(key).startswith("ansible_") or "{{" in str(key) or "{%" in str(key):
                yield _("%(at)s: %(key)s may not be set here.") % {"at": at, "key": key}
            yield from _values(item, at, expression=expression)
    elif isinstance(value, str):
        rendered = expression or "{{" in value or "{%" in value
        if (_LOOKUP if rendered else _CALL).search(value):
            yield _("%(at)s: a lookup reads the platform's host; it may not stand in a step.") % {"at": at}
        if rendered and _FILES.search(value):
            yield _("%(at)s: this filter or test reads the platform's host; it may not stand in a step.") % {"at": at}
        if rendered and (found := _ALL_VARIABLES.search(value)):
            yield _("%(at)s: %(key)s may not be read here.") % {"at": at, "key": found[0]}
        if _HEADER in value:
            yield _("%(at)s: a #jinja2 header may not stand in a step.") % {"at": at}
        if _CONNECTION.search(value):
            yield _("%(at)s: %(key)s may not be set here.") % {"at": at, "key": value[:80]}
    elif isinstance(value, Sequence):
        for item in value:
            yield from _values(item, at, expression=expression)
