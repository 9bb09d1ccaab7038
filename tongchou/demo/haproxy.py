"""HAProxy as the shop's load balancer: its configuration."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from functools import cache

_CONFIG = """\
global
    maxconn 2000
    stats socket ipv4@127.0.0.1:{runtime_port} level admin
defaults
    mode http
    timeout connect 500ms
    timeout client 60s
    timeout server 4s
    timeout queue 2s
    timeout http-request 5s
    retries 2
    option redispatch
    default-server check inter 500ms fall 2 rise 1 weight 100
frontend shop
    bind 127.0.0.1:{storefront_port}
    default_backend storefront
frontend charges
    bind 127.0.0.1:{payments_port}
    default_backend payments
backend storefront
    balance roundrobin
    option httpchk GET /healthz
    retry-on conn-failure
{storefront}
backend payments
    balance roundrobin
    option httpchk GET /healthz
    # A charge may be repeated: its order id makes it the same charge.
    retry-on conn-failure empty-response
{payments}
frontend stats
    bind 127.0.0.1:{metrics_port}
    http-request return status 200 content-type text/plain string ok if {{ path /healthz }}
    http-request set-query scope=backend&scope=server if {{ path /metrics }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
"""


@cache
def installed() -> str | None:
    """Path of a HAProxy that was built with its Prometheus exporter, else None."""
    path = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return None
    about = subprocess.run(  # noqa: S603 - the path was found on PATH, no shell
        [path, "-vv"], capture_output=True, text=True, timeout=10, check=False
    ).stdout
    return path if "prometheus-exporter" in about else None


def config(ports: Mapping[str, int], storefront: Mapping[str, str], payments: Mapping[str, str]) -> str:
    """The configuration file for these servers (name -> host:port).

    `ports`: storefront and payments (traffic), metrics, runtime. The runtime API is open to this machine's users.
    """
    return _CONFIG.format(
        runtime_port=ports["runtime"], storefront_port=ports["storefront"], payments_port=ports["payments"],
        metrics_port=ports["metrics"], storefront=_servers(storefront), payments=_servers(payments),
    )  # fmt: skip


def _servers(servers: Mapping[str, str]) -> str:
    return "\n".join(f"    server {name} {address}" for name, address in servers.items())
