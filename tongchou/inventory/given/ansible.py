"""The inventory as Ansible reads it from a script: groups, and variables of hosts under `_meta`. Pure.

No value becomes a template: text with a Jinja brace is marked as unsafe, and no variable that says what Ansible does
(`ansible_ssh_common_args`, `ansible_become`, ...) comes out of an attribute; the few that say where a
host is are checked.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tongchou.inventory.given.addresses import addresses
from tongchou.inventory.given.gathered import Given

UNSAFE = "__ansible_unsafe"  # what ansible's own encoder writes for text that is no template
_BRACE = re.compile(r"\{[{%#]|[}%#]\}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_PYTHON = re.compile(r"/[A-Za-z0-9_./-]{1,200}|auto|auto_silent")
# Not `local`: an attribute must not move a play onto the machine that runs Ansible.
_CONNECTIONS = frozenset({"ssh", "paramiko", "paramiko_ssh", "winrm", "psrp", "netconf", "network_cli", "httpapi"})
RESERVED = frozenset({"all", "ungrouped", "localhost", "_meta"})
DEFAULT_KINDS = "host"


def _port(value: Any) -> int | None:
    try:
        port = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return port if 0 < port < 65536 else None


def _fits(pattern: re.Pattern[str]) -> Callable[[Any], str | None]:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


_CHECKED: Mapping[str, Callable[[Any], Any]] = {
    "ansible_host": _fits(_HOST),
    "ansible_port": _port,
    "ansible_user": _fits(_USER),
    "ansible_connection": lambda value: value if value in _CONNECTIONS else None,
    "ansible_python_interpreter": _fits(_PYTHON),
}


def plain(value: Any) -> Any:
    """The value as JSON that Ansible takes for data whatever it says."""
    if isinstance(value, str):
        return {UNSAFE: value} if _BRACE.search(value) else value
    if isinstance(value, Mapping):
        # A key of Ansible's own wire form would make the whole something else: a vault, an unsafe text.
        return {_key(str(name)): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def _key(name: str) -> str:
    name = _BRACE.sub("_", name)
    return f"x{name}" if name.startswith("__ansible") else name


def safe_group(*words: str) -> str:
    """A legal group name out of words: letters (of any script), digits and _."""
    return re.sub(r"\W", "_", "_".join(words))[:200]


def _told_apart(wanted: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Group names; words that would be written alike ("a-b", "a.b") get a suffix, so no host is in a wrong group."""
    names: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for words in wanted:
        names[safe_group(*words)].add(words)
    found = {}
    for name, all_words in names.items():
        for words in all_words:
            mark = hashlib.sha256("\0".join(words).encode()).hexdigest()[:8]
            found[words] = name if len(all_words) == 1 and name not in RESERVED else f"{name}_{mark}"
    return found


def host_names(given: Sequence[Given]) -> dict[Any, str]:
    """The inventory name of each resource, by id: its name, made safe, and told apart from others of the same name."""
    bare = {each.id: re.sub(r"[^\w.-]", "_", each.name).lstrip("-.")[:200] or "host" for each in given}
    counts: dict[str, int] = defaultdict(int)
    for name in bare.values():
        counts[name] += 1
    taken = {name for name in bare.values() if counts[name] == 1}
    found: dict[Any, str] = {}
    for each in given:
        name = bare[each.id]
        if counts[name] > 1 or name in RESERVED:
            name = f"{name}-{each.id.hex[:8]}"
            name = name if name not in taken else f"{name}-{each.id.hex}"
        found[each.id] = name
    return found


def variables(given: Given) -> dict[str, Any]:
    """The variables of one host: where it is, checked; all that is known about it under names of ours."""
    found: dict[str, Any] = {}
    for name, check in _CHECKED.items():
        value = check(given.attributes.get(name))
        if value is not None:
            found[name] = value
    if "ansible_host" not in found and (known := addresses(given)):
        found["ansible_host"] = str(known[0])
    told = {name: value for name, value in given.attributes.items() if not name.startswith("ansible_")}
    return {
        **found,
        "tongchou_id": str(given.id),
        "tongchou_name": plain(given.name),
        "tongchou_kind": given.kind,
        "tongchou_owner": plain(given.owner),
        "tongchou_site": plain(given.site),
        "tongchou_services": plain(list(given.services)),
        "tongchou_labels": plain(given.labels),
        "tongchou_attributes": plain(told),
    }


def _words(given: Given) -> list[tuple[str, ...]]:
    """What the groups of one host are called for: kind, each label, site, owner, each service."""
    found: list[tuple[str, ...]] = [("kind", given.kind)]
    found += [("label", name, value) for name, value in given.labels.items()]
    found += [("site", given.site)] if given.site else []
    found += [("owner", given.owner)] if given.owner else []
    return found + [("service", each) for each in given.services]


def document(given: Sequence[Given]) -> dict[str, Any]:
    """What `--list` answers: groups with their hosts, `_meta.hostvars`, and `all` with its children."""
    names = host_names(given)
    words = {each.id: _words(each) for each in given}
    groups = _told_apart(word for every in words.values() for word in every)
    members: dict[str, list[str]] = {name: [] for name in sorted(groups.values())}
    for each in given:
        for group in dict.fromkeys(groups[word] for word in words[each.id]):
            members[group].append(names[each.id])
    return {
        "_meta": {"hostvars": {names[each.id]: variables(each) for each in given}},
        "all": {"children": [*members, "ungrouped"]},
        **{name: {"hosts": hosts} for name, hosts in members.items()},
    }
