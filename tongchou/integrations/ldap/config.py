"""What the environment says about the directory, and the same in the library's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap
from django.core.exceptions import ImproperlyConfigured
from django_auth_ldap import config as library

GROUP_TYPES = {
    "member": library.GroupOfNamesType,
    "member-nested": library.NestedGroupOfNamesType,
    "unique-member": library.GroupOfUniqueNamesType,
    "posix": library.PosixGroupType,
    "ad": library.ActiveDirectoryGroupType,
    "ad-nested": library.NestedActiveDirectoryGroupType,
}


@dataclass(frozen=True)
class Directory:
    """A directory. `bind_password` is never logged, shown or stored."""

    uri: str
    start_tls: bool
    ca_file: str
    bind_dn: str
    bind_password: str
    user_base: str
    user_filter: str
    username_attribute: str
    group_base: str
    group_filter: str
    group_type: str
    timeout_seconds: float


def load(said: Mapping[str, Any]) -> Directory:
    """Return the directory; raise ImproperlyConfigured naming the variable and the remedy."""
    if said["group_type"] not in GROUP_TYPES:
        raise ImproperlyConfigured(
            f"TONGCHOU_LDAP_GROUP_TYPE is {said['group_type']!r}: use one of {', '.join(GROUP_TYPES)}"
        )
    if "%(user)s" not in said["user_filter"]:
        raise ImproperlyConfigured("TONGCHOU_LDAP_USER_FILTER has no %(user)s: write e.g. (uid=%(user)s)")
    if not said["user_base"]:
        raise ImproperlyConfigured("TONGCHOU_LDAP_USER_BASE is empty: name the branch with people")
    password = ""
    if said["bind_password_file"]:
        try:
            password = Path(said["bind_password_file"]).read_text().rstrip("\n")
        except OSError as error:
            raise ImproperlyConfigured(f"TONGCHOU_LDAP_BIND_PASSWORD_FILE cannot be read: {error}") from error
    if said["ca_file"] and not Path(said["ca_file"]).is_file():
        raise ImproperlyConfigured(f"TONGCHOU_LDAP_CA_FILE is no file: {said['ca_file']}")
    own = {name: value for name, value in said.items() if name != "bind_password_file"}
    return Directory(**own, bind_password=password)


def options(found: Directory) -> dict[str, Any]:
    """Return the library's settings. Certificates are always checked; every wait is bounded."""
    seconds = found.timeout_seconds
    connection: dict[int, Any] = {
        ldap.OPT_REFERRALS: 0,
        ldap.OPT_NETWORK_TIMEOUT: seconds,
        ldap.OPT_TIMEOUT: seconds,
        ldap.OPT_X_TLS_REQUIRE_CERT: ldap.OPT_X_TLS_DEMAND,
    }
    if found.ca_file:
        connection[ldap.OPT_X_TLS_CACERTFILE] = found.ca_file
    connection[ldap.OPT_X_TLS_NEWCTX] = 0  # the last one: it makes the ones before count
    said = {
        "SERVER_URI": found.uri,
        "START_TLS": found.start_tls,
        "BIND_DN": found.bind_dn,
        "BIND_PASSWORD": found.bind_password,
        "CONNECTION_OPTIONS": connection,
        "USER_SEARCH": library.LDAPSearch(found.user_base, ldap.SCOPE_SUBTREE, found.user_filter),
        "ALWAYS_UPDATE_USER": False,
        "CACHE_TIMEOUT": 0,
        "PERMIT_EMPTY_PASSWORD": False,
    }
    if found.group_base:
        said["GROUP_SEARCH"] = library.LDAPSearch(found.group_base, ldap.SCOPE_SUBTREE, found.group_filter)
        said["GROUP_TYPE"] = GROUP_TYPES[found.group_type]()
    return said
