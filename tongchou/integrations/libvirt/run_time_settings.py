"""Which hypervisors sources may ask: virsh starts a process, over SSH too, so an administrator lists them."""

from __future__ import annotations

import re
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register

URIS = "libvirt.uris"
# no ?parameters: `command=` and `socket=` of them would start other programs
_URI = re.compile(
    r"\A(?:qemu|xen|lxc|ch|bhyve|test)(?:\+(?:unix|ssh|tls|tcp))?://(?:[A-Za-z0-9_.@\[\]:-]{1,253})?/[A-Za-z0-9_./-]{0,200}\Z"
)


def problem_of(value: list[Any]) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    if all(isinstance(uri, str) and _URI.match(uri) and "://-" not in uri for uri in value):
        return None
    return _("A list of libvirt URIs is wanted, such as qemu:///system or qemu+ssh://user@host/system, without ?.")


register(
    URIS,
    list,
    [],
    _("URIs of the hypervisors that libvirt sources may ask, such as qemu:///system. Empty: none."),
    validate=problem_of,
)
