"""How to reach a cluster: a kubeconfig kept as a secret, the account of our own pod, or an address and a token."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import gettext_lazy as _

from tongchou.core import secrets
from tongchou.core.problems import Invalid, Unavailable
from tongchou.inventory import checks, remote
from tongchou.inventory.gather import at, items, text

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """Where a cluster is, what proves who asks, and whom to trust. Its text shows none of it."""

    url: str
    token: str = ""
    context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Access({self.url})"


def of(settings: Mapping[str, Any]) -> Access:
    """Return how to reach the cluster of the settings. Raises Problem; never quotes a kubeconfig."""
    if settings.get("kubeconfig_secret"):
        return _of_kubeconfig(secrets.reveal(settings["kubeconfig_secret"]))
    if settings.get("in_cluster"):
        return _of_pod()
    return Access(settings["url"], context=remote.tls(settings))


def _of_pod() -> Access:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        token = (ACCOUNT / "token").read_text(encoding="ascii").strip()
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    except (OSError, ValueError) as error:
        raise Unavailable(
            "kubernetes.account",
            _("This process does not run in a pod with a service account."),
            field="settings.in_cluster",
            remedy=_("Use kubeconfig_secret instead; nothing known was changed."),
        ) from error
    return Access(f"https://{f'[{host}]' if ':' in host else host}:{port}", token, context)


def _bad(detail: Any, field: str) -> Invalid:
    return Invalid(
        "kubernetes.kubeconfig",
        detail,
        field=f"kubeconfig.{field}",
        remedy=_(
            "Store what `kubectl config view --raw --flatten --minify` prints, with a token or a certificate in it."
        ),
    )


def _named(config: Any, sort: str, name: str) -> Mapping[str, Any]:
    for each in items(config, f"{sort}s"):
        if text(each, "name") == name:
            return at(each, sort) or {}
    raise _bad(_("The kubeconfig names something that is not in it."), f"{sort}s")


def _of_kubeconfig(written: str) -> Access:
    try:
        config = yaml.safe_load(written)
    except (yaml.YAMLError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise _bad(_("The secret holds no kubeconfig."), "")
    context = _named(config, "context", text(config, "current-context"))
    cluster, user = _named(config, "cluster", text(context, "cluster")), _named(config, "user", text(context, "user"))
    if at(cluster, "insecure-skip-tls-verify"):
        raise _bad(_("A cluster whose certificate is not checked is not asked."), "cluster.insecure-skip-tls-verify")
    for name in ("exec", "auth-provider", "tokenFile", "client-certificate", "client-key"):
        if at(user, name):  # would start a program, or read a file of this host
            raise _bad(_("This way to sign in is not used here."), f"user.{name}")
    if at(cluster, "certificate-authority"):
        raise _bad(_("The certificate is in a file, not in the kubeconfig."), "cluster.certificate-authority")
    url = checks.url(text(cluster, "server"), "kubeconfig.cluster.server")
    return Access(url, text(user, "token"), _context(cluster, user))


def _decoded(found: Mapping[str, Any], name: str) -> str:
    try:
        return base64.b64decode(text(found, name), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise _bad(_("This is no certificate in base64."), name) from None


def _context(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _decoded(cluster, "certificate-authority-data")
    try:
        context = ssl.create_default_context(cadata=authority or None)
        if at(user, "client-certificate-data"):
            with tempfile.TemporaryDirectory() as folder:  # of 0700; the interpreter reads keys from files only
                path = Path(folder, "client.pem")
                path.touch(mode=0o600)
                path.write_text(_decoded(user, "client-certificate-data") + "\n" + _decoded(user, "client-key-data"))
                context.load_cert_chain(path)
    except (ssl.SSLError, ValueError):
        raise _bad(_("This is no certificate in base64."), "certificate-authority-data") from None
    return context
