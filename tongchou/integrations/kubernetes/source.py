"""The inventory source "kubernetes": the lists of a cluster's API, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.integrations.kubernetes import access
from tongchou.integrations.kubernetes.things import Cluster
from tongchou.inventory import remote, source_settings
from tongchou.inventory.gather import Gathering, at, items, text
from tongchou.inventory.observation import Observation

PAGE = 500
MAX_PAGES = 200
VERSION = "/version"
LISTS = {
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "DaemonSet": "/apis/apps/v1/daemonsets",
    "Pod": "/api/v1/pods",
    "Service": "/api/v1/services",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
}


class KubernetesSource:
    """Reads with a token that may get and list; the built-in role "view", and nodes, are enough."""

    kind: str = "kubernetes"
    title: Any = _("Kubernetes")
    precedence: int = 270
    interval_seconds: float = 120.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **remote.REMOTE_SETTINGS,
            "kubeconfig_secret": {
                "type": "string",
                "maxLength": 120,
                "description": _("name of the secret that holds a kubeconfig, instead of url and token_secret"),
            },
            "in_cluster": {
                "type": "boolean",
                "default": False,
                "description": _("the cluster that the platform itself runs in, with its service account"),
            },
            "cluster": {
                "type": "string",
                "maxLength": 120,
                "description": _("the cluster's name, part of every identity; without it, the source's name"),
            },
            "pods": {"type": "boolean", "default": True, "description": _("also pods; workloads are read anyway")},
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        remote.tls(found)
        ways = [name for name in ("url", "kubeconfig_secret", "in_cluster") if found.get(name)]
        if len(ways) != 1:
            raise Invalid(
                "kubernetes.access",
                _("One way to reach the cluster is wanted."),
                field="settings.url",
                value=", ".join(ways),
                remedy=_("Give one of kubeconfig_secret, in_cluster, or url with token_secret."),
            )
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Read every list once. One that is refused makes the look a part; raises Problem when all of them are."""
        way = access.of(settings)
        server = remote.Remote(settings, purpose="kubernetes", url=way.url, token=way.token, context=way.context)
        gathering = Gathering()
        found: dict[str, list[dict[str, Any]]] = {}
        refused: list[Problem] = []
        for kind, path in LISTS.items():
            if kind == "Pod" and not settings["pods"]:
                continue
            try:
                found[kind] = _listed(server, path, gathering)
            except Problem as problem:
                if remote.ends_look(problem):
                    raise
                refused.append(problem)
                gathering.partial(f"{path}: {problem.code}")
        if not found:
            raise refused[0]
        _observe(Cluster(gathering, settings.get("cluster") or source, _version(server, gathering)), found)
        return gathering.observation()


SOURCE = KubernetesSource()


def _observe(cluster: Cluster, found: Mapping[str, list[dict[str, Any]]]) -> None:
    cluster.nodes(found.get("Node", []))
    cluster.namespaces(found.get("Namespace", []))
    workloads = {kind: found.get(kind, []) for kind in ("Deployment", "StatefulSet", "DaemonSet")}
    for kind, listed in workloads.items():
        cluster.workloads(kind, listed)
    cluster.pods(found.get("Pod", []))
    cluster.services(found.get("Service", []), workloads)
    cluster.ingresses(found.get("Ingress", []))


def _version(server: remote.Remote, gathering: Gathering) -> str:
    """The version of the API server, which every signed-in account may read unless somebody took that away."""
    try:
        return text(server.get(VERSION, {}), "gitVersion")
    except Problem as problem:
        if remote.ends_look(problem):
            raise
        gathering.warn(f"{VERSION}: {problem.code}")
        return ""


def _listed(server: remote.Remote, path: str, gathering: Gathering) -> list[dict[str, Any]]:
    """Every object of a list, all as of one resourceVersion: `continue` goes on in the state the first page showed.

    A page that comes too late (410 Gone) fails the list: what was read so far would be of no one moment.
    """
    found: list[dict[str, Any]] = []
    going_on = version = ""
    for _page in range(MAX_PAGES):
        answer = server.get(path, {"limit": PAGE, **({"continue": going_on} if going_on else {})})
        if not text(answer, "kind").endswith("List") or not isinstance(at(answer, "metadata"), dict):
            raise Unavailable(
                "kubernetes.shape",
                _("This is no list of a Kubernetes API."),
                field="settings.url",
                value=path,
                remedy=_("See that the address is that of the API server; nothing known was changed."),
            )
        now = text(answer, "metadata", "resourceVersion")
        if version and now != version:
            gathering.partial(f"{path}: the list changed while it was read")
        version = now
        found += items(answer, "items")
        going_on = text(answer, "metadata", "continue")
        if not going_on:
            return found
    gathering.partial(f"{path}: more than {MAX_PAGES * PAGE:,} objects; the rest was not read")
    return found
