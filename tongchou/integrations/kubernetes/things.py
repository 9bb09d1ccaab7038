"""What Kubernetes' objects are to us. Pure.

Environments, arguments, annotations, config maps and secrets are never read. Nor is what moves by itself: replicas,
phases, conditions are metrics. Things are known by cluster, namespace and name, so that one made anew is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tongchou.inventory import identity, standard_names
from tongchou.inventory.gather import Gathering, at, items, text

_QUANTITY = re.compile(r"\A(\d{1,15})(Ki|Mi|Gi|Ti|k|M|G|T|)\Z")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
OVER = frozenset({"Succeeded", "Failed"})


def quantity_bytes(written: str) -> int | None:
    """Return the bytes of a quantity such as 16393012Ki; None for anything else."""
    found = _QUANTITY.match(written)
    return int(found.group(1)) * _UNITS[found.group(2)] if found else None


class Cluster:
    """One cluster in the making of an observation."""

    def __init__(self, gathering: Gathering, name: str, version: str = "") -> None:
        self.gathering = gathering
        self.name = name
        self.key = identity.key("kubernetes", name)
        gathering.add("k8s_cluster", name, (self.key,), {"type": "kubernetes", "version": version})

    def _key(self, kind: str, namespace: str, name: str) -> str | None:
        return identity.key(self.key, kind, f"{namespace}/{name}" if namespace else name) if name else None

    def _add(
        self, kind: str, as_kind: str, each: Mapping[str, Any], attributes: Mapping[str, Any], *, uid: bool = True
    ) -> str | None:
        meta = at(each, "metadata")
        namespace, name = text(meta, "namespace"), text(meta, "name")
        more = identity.key("kubernetes-uid", text(meta, "uid")) if uid and text(meta, "uid") else None
        labels = at(meta, "labels")
        said = {"namespace": namespace, "cluster": self.name, **attributes}
        shown = f"{namespace}/{name}" if namespace else name
        keys = identity.keys(self._key(kind, namespace, name), more)
        return self.gathering.add(as_kind, shown, keys, said, labels if isinstance(labels, dict) else {})

    def nodes(self, listed: list[dict[str, Any]]) -> None:
        """Machines. Ids that several nodes share (copied images) identify none of them."""
        infos = [at(each, "status", "nodeInfo") for each in listed]
        counts = Counter(text(info, name).lower() for info in infos for name in ("machineID", "systemUUID"))
        for each in listed:
            info, name = at(each, "status", "nodeInfo"), text(each, "metadata", "name")
            machine_id, uuid = text(info, "machineID").lower(), text(info, "systemUUID").lower()
            if any(found and counts[found] > 1 for found in {machine_id, uuid}):
                self.gathering.warn(f"node {name}: another node has the same machine id")
            addresses = {text(one, "type"): text(one, "address") for one in items(each, "status", "addresses")}
            labels = at(each, "metadata", "labels") or {}
            attributes = {
                "cluster": self.name,
                "os": text(info, "osImage"),
                "kernel": text(info, "kernelVersion"),
                "architecture": text(info, "architecture"),
                "kubelet": text(info, "kubeletVersion"),
                "container_runtime": text(info, "containerRuntimeVersion"),
                "cpu_count": int(cpu) if (cpu := text(each, "status", "capacity", "cpu")).isdecimal() else None,
                "memory_bytes": quantity_bytes(text(each, "status", "capacity", "memory")),
                "address": addresses.get("InternalIP"),
                "zone": text(labels, "topology.kubernetes.io/zone"),
                "region": text(labels, "topology.kubernetes.io/region"),
                "instance_type": text(labels, "node.kubernetes.io/instance-type"),
            }
            keys = identity.keys(
                self._key("node", "", name),
                identity.machine_id_key(machine_id) if counts[machine_id] == 1 else None,
                identity.uuid_key(uuid) if counts[uuid] == 1 else None,
                provider_key(text(each, "spec", "providerID")),
            )
            key = self.gathering.add("host", name, keys, attributes, labels if isinstance(labels, dict) else {})
            self.gathering.relate("part_of", key, self.key)

    def namespaces(self, listed: list[dict[str, Any]]) -> None:
        """Namespaces."""
        for each in listed:
            self.gathering.relate("part_of", self._add("namespace", "k8s_namespace", each, {}), self.key)

    def workloads(self, kind: str, listed: list[dict[str, Any]]) -> None:
        """Deployments, stateful sets or daemon sets."""
        for each in listed:
            containers = items(each, "spec", "template", "spec", "containers")
            said = {"workload_type": kind, **standard_names.images(text(one, "image") for one in containers)}
            key = self._add(kind, "deployment", each, said)
            self._in_namespace(key, each)

    def _in_namespace(self, key: str | None, each: Mapping[str, Any]) -> None:
        self.gathering.relate("part_of", key, self._key("namespace", "", text(each, "metadata", "namespace")))

    def pods(self, listed: list[dict[str, Any]]) -> None:
        """Pods that are not over, on their nodes."""
        for each in listed:
            if text(each, "status", "phase") in OVER:
                continue
            said = {
                **standard_names.images(text(one, "image") for one in items(each, "spec", "containers")),
                "node_name": text(each, "spec", "nodeName"),
                "qos_class": text(each, "status", "qosClass"),
            }
            key = self._add("pod", "pod", each, said, uid=False)
            self.gathering.relate("runs_on", key, self._key("node", "", text(each, "spec", "nodeName")))
            kind, name = _owner(each)
            if kind:
                self.gathering.relate("part_of", key, self._key(kind, text(each, "metadata", "namespace"), name))
            else:
                self._in_namespace(key, each)

    def services(self, listed: list[dict[str, Any]], workloads: Mapping[str, Iterable[Mapping[str, Any]]]) -> None:
        """Services and the workloads whose pods they select."""
        for each in listed:
            ports = {f"{one.get('port')}/{text(one, 'protocol') or 'TCP'}" for one in items(each, "spec", "ports")}
            attributes = {
                "type": text(each, "spec", "type"),
                "ports": sorted(ports),
                "cluster_ip": text(each, "spec", "clusterIP"),
            }
            key = self._add("service", "service", each, attributes)
            selector, namespace = at(each, "spec", "selector"), text(each, "metadata", "namespace")
            for kind, found in workloads.items() if isinstance(selector, dict) and selector else ():
                for one in found:
                    labels = at(one, "spec", "template", "metadata", "labels") or {}
                    here = text(one, "metadata", "namespace") == namespace
                    if here and isinstance(labels, dict) and selector.items() <= labels.items():
                        self.gathering.relate("part_of", self._key(kind, namespace, text(one, "metadata", "name")), key)

    def ingresses(self, listed: list[dict[str, Any]]) -> None:
        """Ingresses and the services they lead to."""
        for each in listed:
            rules = items(each, "spec", "rules")
            hosts = sorted({text(rule, "host") for rule in rules} - {""})
            key = self._add(
                "ingress", "ingress", each, {"hosts": hosts, "class": text(each, "spec", "ingressClassName")}
            )
            backends = [at(path, "backend") for rule in rules for path in items(rule, "http", "paths")]
            for backend in (at(each, "spec", "defaultBackend"), *backends):
                name = text(backend, "service", "name")
                self.gathering.relate("calls", key, self._key("service", text(each, "metadata", "namespace"), name))


def _owner(pod: Mapping[str, Any]) -> tuple[str, str]:
    """(kind, name) of the workload of a pod. A replica set is called like its deployment, and a hash the pod tells."""
    for each in items(pod, "metadata", "ownerReferences"):
        kind, name = text(each, "kind"), text(each, "name")
        hash_ = text(pod, "metadata", "labels", "pod-template-hash")
        if kind == "ReplicaSet" and hash_ and name.endswith(f"-{hash_}"):
            return "Deployment", name.removesuffix(f"-{hash_}")
        if kind in WORKLOADS:
            return kind, name
    return "", ""


def provider_key(provider_id: str) -> str | None:
    """Return the key that a cloud gives a node: aws:///eu-west-1a/i-0a1, azure:///subscriptions/..., gce://p/z/n."""
    scheme, _colon, rest = provider_id.partition("://")
    parts = rest.strip("/").split("/")
    if scheme == "aws":
        return identity.cloud_key("aws", parts[-1])
    if scheme == "azure":
        return identity.cloud_key("azure", rest)
    if scheme == "gce" and len(parts) == 3:
        return identity.cloud_key("gcp", f"projects/{parts[0]}/zones/{parts[1]}/instances/{parts[2]}")
    return None
