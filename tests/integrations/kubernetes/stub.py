"""An API server that answers lists in the wire format: limit and continue, resourceVersion, Status for what it refuses."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

TOKEN = "canary-token"
UIDS = itertools.count(1)
LABELS = {"app": "web"}


def meta(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "canary"}
    return {
        "name": name,
        "uid": f"uid-{next(UIDS)}",
        "annotations": annotations,
        **({"namespace": namespace} if namespace else {}),
        **more,
    }


def node(name: str, machine_id: str, uuid: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": meta(name, labels={"topology.kubernetes.io/zone": "eu-west-1a"}),
        "spec": spec,
        "status": {
            "capacity": {"cpu": "4", "memory": "16393012Ki", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-03-01T00:00:00Z"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.1.5"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {"bootID": "b", "kubeProxyVersion": "", "operatingSystem": "linux", "machineID": machine_id, "systemUUID": uuid, "osImage": "Debian GNU/Linux 12 (bookworm)", "kernelVersion": "6.1.0", "architecture": "amd64", "kubeletVersion": "v1.31.2", "containerRuntimeVersion": "containerd://1.7.22"},
        },
    }  # fmt: skip


TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "shop/web:1.4",
                "env": [{"name": "PASSWORD", "value": "canary"}],
                "args": ["canary"],
            }
        ]
    },
}
UUID = "4f4b3dfa-eb70-47cf-a60a-998a53bd59"
LISTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "/api/v1/nodes": ("NodeList", [
        node("n1", "aa" * 16, f"{UUID}01", providerID="aws:///eu-west-1a/i-0a1"),
        node("n2", "bb" * 16, f"{UUID}02"),
        node("n3", "bb" * 16, f"{UUID}03"),
    ]),
    "/api/v1/namespaces": ("NamespaceList", [{"metadata": meta("shop")}]),
    "/apis/apps/v1/deployments": ("DeploymentList", [
        {"metadata": meta("web", "shop", labels=LABELS), "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": TEMPLATE}, "status": {"readyReplicas": 2}},
    ]),
    "/apis/apps/v1/statefulsets": ("StatefulSetList", [{"metadata": meta("db", "shop"), "spec": {"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": {"metadata": {"labels": {"app": "db"}}}}}]),
    "/apis/apps/v1/daemonsets": ("DaemonSetList", []),
    "/api/v1/pods": ("PodList", [
        {
            "metadata": meta("web-7d4b9c-x1", "shop", labels={**LABELS, "pod-template-hash": "7d4b9c"}, ownerReferences=[{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c", "uid": "r"}]),
            "spec": {**TEMPLATE["spec"], "nodeName": "n1"},
            "status": {"phase": "Running", "podIP": "10.244.0.7"},
        },
        {"metadata": meta("db-0", "shop", ownerReferences=[{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": "s"}]), "spec": {"nodeName": "n2", "containers": [{"name": "db"}]}, "status": {"phase": "Pending"}},
        {"metadata": meta("job-1", "shop"), "spec": {"containers": [{"name": "job"}]}, "status": {"phase": "Succeeded"}},
        {"metadata": meta("debug", "shop"), "spec": {"containers": [{"name": "debug"}]}, "status": {"phase": "Pending"}},
    ]),
    "/api/v1/services": ("ServiceList", [
        {"metadata": meta("web", "shop"), "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "selector": LABELS, "ports": [{"port": 80, "protocol": "TCP"}]}},
    ]),
    "/apis/networking.k8s.io/v1/ingresses": ("IngressList", [
        {"metadata": meta("front", "shop"), "spec": {"ingressClassName": "nginx", "rules": [{"host": "shop.example.org", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}]}}]}},
    ]),
}  # fmt: skip


def status(code: int, reason: str) -> tuple[int, Any]:
    return code, {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": reason,
        "code": code,
    }


class ApiServer:
    """Answers from LISTS; `most` caps a page, `denied` paths are forbidden, `expired`: a continue comes too late."""

    def __init__(self) -> None:
        self.lists = {path: (kind, list(rows)) for path, (kind, rows) in LISTS.items()}
        self.most = 10_000
        self.denied: set[str] = set()
        self.expired = False

    def __call__(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return status(401, "Unauthorized")
        if path in self.denied:
            return status(403, "Forbidden")
        if path == "/version":
            return 200, {"major": "1", "minor": "31", "gitVersion": "v1.31.2", "platform": "linux/amd64"}
        kind, rows = self.lists[path]
        start = 0
        if query.get("continue"):
            if self.expired:
                return status(410, "Expired")
            start = json.loads(base64.b64decode(query["continue"]))["start"]
        end = start + min(int(query.get("limit", self.most)), self.most)
        found: dict[str, Any] = {"resourceVersion": "4711"}
        if end < len(rows):
            found |= {
                "continue": base64.b64encode(json.dumps({"start": end}).encode()).decode(),
                "remainingItemCount": len(rows) - end,
            }
        return 200, {"kind": kind, "apiVersion": "v1", "metadata": found, "items": rows[start:end]}
