"""The one host a step acts on: out of the target's attributes, checked, so that no value is a template or an option."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_PYTHON = re.compile(r"/[A-Za-z0-9_./-]{1,200}|auto|auto_silent")
_KEY = re.compile(r"(?:ssh|ecdsa|sk)-[a-z0-9@.-]{2,60} [A-Za-z0-9+/]{20,4000}={0,2}")
CONNECTIONS = ("ssh", "local")


@dataclass(frozen=True)
class Host:
    """Where a step acts. `name` is the inventory name; `host_key` a line of known_hosts without its first word."""

    name: str
    address: str
    port: int
    user: str
    connection: str
    python: str
    host_key: str

    def as_json(self) -> dict[str, Any]:
        """What a plan keeps of it, so that an approval covers where the step goes."""
        some = {"user": self.user, "python": self.python, "host_key": self.host_key}
        always = {"name": self.name, "address": self.address, "port": self.port, "connection": self.connection}
        return {**always, **{key: value for key, value in some.items() if value}}


def from_target(target: Mapping[str, Any]) -> dict[str, Any]:
    """What a step's input keeps under `inventory`: ansible_host, ansible_port, ... of the target, else its name."""
    name = str(target.get("name", ""))
    return Host(
        name=re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:200].lstrip("-.") or "target",
        address=str(target.get("ansible_host") or target.get("address") or name),
        port=_number(target.get("ansible_port", 22)),
        user=str(target.get("ansible_user", "")),
        connection=str(target.get("ansible_connection", "ssh")),
        python=str(target.get("ansible_python_interpreter", "")),
        host_key=" ".join(str(target.get("host_key", "")).split()[:2]),
    ).as_json()


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def read(kept: Mapping[str, Any]) -> Host:
    """The host out of a step's input."""
    return Host(
        name=str(kept["name"]),
        address=str(kept["address"]),
        port=int(kept["port"]),
        user=str(kept.get("user", "")),
        connection=str(kept["connection"]),
        python=str(kept.get("python", "")),
        host_key=str(kept.get("host_key", "")),
    )


def problems(host: Host, *, local: bool, accept_new: bool, ssh_key: bool) -> list[str]:
    """What forbids going there; empty when nothing does."""
    fits: Sequence[tuple[str, str, bool]] = [
        ("ansible_host", host.address, bool(_HOST.fullmatch(host.address))),
        ("ansible_port", str(host.port), 0 < host.port < 65536),
        ("ansible_user", host.user, not host.user or bool(_USER.fullmatch(host.user))),
        ("ansible_connection", host.connection, host.connection in CONNECTIONS),
        ("ansible_python_interpreter", host.python, not host.python or bool(_PYTHON.fullmatch(host.python))),
        ("host_key", host.host_key, not host.host_key or bool(_KEY.fullmatch(host.host_key))),
    ]
    out = [
        _("The attribute %(name)s of the target does not fit: %(value)s") % {"name": name, "value": value[:100]}
        for name, value, fit in fits
        if not fit
    ]
    if host.connection == "local" and not local:
        out.append(
            _("The platform's own host is out of reach; the setting %(name)s allows it.") % {"name": "ansible.local"}
        )
    if host.connection == "ssh":
        if not ssh_key:
            out.append(_('The key ssh_key is missing; write ssh_key: "${secret.NAME}".'))
        if not host.host_key and not accept_new:
            out.append(
                _(
                    "Nobody knows the host's key: set its attribute host_key (ssh-keyscan shows it), or write "
                    "accept_new: true."
                )
            )
    return out


def group_vars(groups: Sequence[str], host: Host, key_file: str) -> dict[str, Any]:
    """Ansible's inventory in JSON: one host in `all` and in each group."""
    known: dict[str, Any] = {"ansible_connection": host.connection}
    if host.connection == "ssh":
        known |= {"ansible_host": host.address, "ansible_port": host.port, "ansible_ssh_private_key_file": key_file}
    if host.user and host.connection == "ssh":
        known["ansible_user"] = host.user
    if host.python:
        known["ansible_python_interpreter"] = host.python
    return {"all": {"hosts": {host.name: known}, "children": {group: {"hosts": {host.name: {}}} for group in groups}}}
