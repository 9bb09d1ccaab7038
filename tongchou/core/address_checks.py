"""Whether the settings of the address people use fit together."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, fail, ok, warn


def without_password(url: str) -> str:
    """Return a database address as people may see it: user, host, port, name."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.username or ''}@{parts.hostname or ''}:{parts.port or ''}{parts.path}"


@check("address", _("Address people use"))
def address(where: Surroundings) -> Finding:
    """PUBLIC_URL, allowed hosts, cookies, listening address and trusted proxies fit together."""
    return judge_address(
        public_url=settings.PUBLIC_URL,
        allowed_hosts=list(settings.ALLOWED_HOSTS),
        origins=list(settings.CSRF_TRUSTED_ORIGINS),
        listens_on=settings.HOST,
        trusted=list(settings.TRUSTED_PROXIES),
    )


def judge_address(
    *, public_url: str, allowed_hosts: list[str], origins: list[str], listens_on: str, trusted: list[str]
) -> Finding:
    """Judge the settings of the address. Pure."""
    parts = urlsplit(public_url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.path.strip("/"):
        return fail(
            _("TONGCHOU_PUBLIC_URL is %(url)s.")
            % {"url": without_password(public_url) if "@" in public_url else public_url},
            _("Set it to scheme and host only, e.g. https://tongchou.example.org."),
        )
    if not _is_allowed(host, allowed_hosts):
        return fail(
            _("%(host)s is not among the allowed hosts.") % {"host": host}, _("Add it to TONGCHOU_ALLOWED_HOSTS.")
        )
    if "*" in allowed_hosts:
        return warn(_("Every host name is accepted."), _("List the names in TONGCHOU_ALLOWED_HOSTS instead of *."))
    if f"{parts.scheme}://{parts.netloc}" not in origins:
        return warn(
            _("Forms sent from %(url)s are refused: it is no trusted origin.") % {"url": public_url},
            _("Add it to TONGCHOU_TRUSTED_ORIGINS, or unset that variable."),
        )
    local = _is_loopback(host)
    if parts.scheme == "http" and not local:
        return warn(
            _("People sign in over plain http://: passwords and cookies can be read on the way."),
            _("Put a reverse proxy with TLS in front (deploy/nginx.conf) and set TONGCHOU_PUBLIC_URL to https://."),
        )
    if parts.scheme == "https" and not trusted:
        return warn(
            _("The address is https:// and no proxy is trusted: everybody seems to come from the proxy's address."),
            _("Set TONGCHOU_TRUSTED_PROXIES to the address of the reverse proxy, e.g. 127.0.0.1."),
        )
    if "*" in trusted or "0.0.0.0/0" in trusted or "::/0" in trusted:
        return fail(
            _("Every address is trusted as a proxy: a client can write its own address."),
            _("List the proxies in TONGCHOU_TRUSTED_PROXIES one by one."),
        )
    if not local and _is_loopback(listens_on) and not trusted:
        return warn(
            _("It listens on %(host)s only; other hosts do not reach it.") % {"host": listens_on},
            _("Set TONGCHOU_HOST, or put a reverse proxy in front."),
        )
    return ok(public_url)


def _is_allowed(host: str, patterns: list[str]) -> bool:
    """As Django matches ALLOWED_HOSTS: a name, * for all, .name for a name and those below it."""
    return any(
        each in ("*", host, f"[{host}]") or (each.startswith(".") and (host.endswith(each) or host == each[1:]))
        for each in (one.lower() for one in patterns)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
