"""Which processes the shop has, who calls whom, and how that is said to a monitoring system over http_sd."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ENVIRONMENT = "demo"
TEAM = "shop"


@dataclass(frozen=True, slots=True)
class Spec:
    """One process. `restart` is false for processes whose return is a decision, not a reflex."""

    name: str
    service: str
    kind: str = "instance"
    relations: tuple[str, ...] = ()
    restart: bool = True


SHOP: tuple[Spec, ...] = (
    Spec("database-primary", "database", "database", ("replicates_to:database-standby",), restart=False),
    Spec("database-standby", "database", "database", (), restart=False),
    Spec("cache-1", "cache", "cache"),
    Spec("payments-1", "payments"),
    Spec("payments-2", "payments"),
    Spec("catalogue-1", "catalogue", relations=("calls:cache", "calls:database")),
    Spec("orders-1", "orders", relations=("calls:payments", "calls:database")),
    Spec("orders-2", "orders", relations=("calls:payments", "calls:database")),
    Spec("storefront-1", "storefront", relations=("calls:catalogue", "calls:orders")),
    Spec("storefront-2", "storefront", relations=("calls:catalogue", "calls:orders")),
    Spec("load-balancer-1", "load-balancer", "load_balancer", ("calls:storefront",)),
    Spec("release-tool-1", "release-tool"),
    Spec("customers-1", "customers", relations=("calls:load-balancer",)),
)

# Processes the supervisor can start when there is more to do than usual; nobody knows of them before.
SPARE: tuple[Spec, ...] = (Spec("storefront-3", "storefront", relations=("calls:catalogue", "calls:orders")),)
BALANCED = ("storefront", "payments")  # services behind the load balancer, each a backend of that name


def host_name() -> str:
    """The name this machine's own host resource has."""
    return socket.gethostname()


def target(
    spec: Spec, address: str, attributes: Mapping[str, str], *, metrics_path: str = "/metrics"
) -> dict[str, object]:
    """One http_sd entry. Labels with two leading underscores describe the resource and never reach a series."""
    relations = ",".join((*spec.relations, f"runs_on:{host_name()}"))
    labels = {
        "job": spec.service,
        "service": spec.service,
        "env": ENVIRONMENT,
        "instance": spec.name,
        "__metrics_path__": metrics_path,
        "__meta_tongchou_kind": spec.kind,
        "__meta_tongchou_name": spec.name,
        "__meta_tongchou_service": spec.service,
        "__meta_tongchou_relations": relations,
        "__meta_tongchou_owner": TEAM,
        **{f"__meta_tongchou_attr_{name}": value for name, value in attributes.items()},
    }
    return {"targets": [address], "labels": labels}


def services(specs: Iterable[Spec] = SHOP) -> dict[str, list[str]]:
    """Process names by service."""
    found: dict[str, list[str]] = {}
    for spec in specs:
        found.setdefault(spec.service, []).append(spec.name)
    return found
