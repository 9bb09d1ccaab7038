from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.access import system
from tongchou.inventory import actions, queues, refresh
from tongchou.inventory.end_of_life import PACK_HOLDS, End, ends_of, pack
from tongchou.inventory.models_queues import QueueItem, QueueName

RULES = pack()
TODAY = RULES.compiled
ACTOR = system("tests")


def one(kind: str = "host", today: date = TODAY, **attributes: Any) -> End:
    [found] = ends_of((kind,), attributes, RULES, today)
    return found


@pytest.mark.parametrize(
    ("attributes", "what", "on"),
    [
        ({"os": "Debian GNU/Linux 12 (bookworm)"}, "Debian 12", "2026-06-10"),
        ({"os": "Debian", "os_version": "11.9"}, "Debian 11", "2024-08-14"),
        ({"os": "Ubuntu 22.04.3 LTS"}, "Ubuntu 22.04", "2027-04-30"),
        ({"os": "Red Hat Enterprise Linux 9.3 (Plow)"}, "Red Hat Enterprise Linux 9", "2032-05-31"),
        ({"os": "CentOS Linux 7 (Core)"}, "CentOS Linux 7", "2024-06-30"),
        ({"os": "CentOS Stream 9"}, "CentOS Stream 9", "2027-05-31"),
        ({"os": "SUSE Linux Enterprise Server 15 SP5"}, "SUSE Linux Enterprise Server 15.5", "2024-12-31"),
        ({"os": "SLES", "os_version": "15-SP6"}, "SUSE Linux Enterprise Server 15.6", "2025-12-31"),
        ({"os": "openEuler 22.03 (LTS-SP3)"}, "openEuler 22.03", "2026-03-31"),
        ({"os": "Microsoft Windows Server 2012 R2 Standard"}, "Windows Server 2012 r2", "2023-10-10"),
        ({"os": "Windows Server 2019 Datacenter"}, "Windows Server 2019", "2029-01-09"),
        ({"engine": "PostgreSQL", "version": "14.11"}, "PostgreSQL 14", "2026-11-12"),
        ({"image": "registry.example/library/mysql:8.0.36"}, "MySQL 8.0", "2026-04-30"),
        ({"software": "Java 1.8.0_392"}, "Java SE 1.8", "2022-03-31"),
        ({"kubernetes_version": "v1.30.2"}, "Kubernetes 1.30", "2025-06-28"),
        ({"product": "Elasticsearch", "version": "8.11.1"}, "Elasticsearch 8", "2027-07-15"),
        ({"engine": "MongoDB", "version": "7.0.31"}, "MongoDB 7.0", "2027-08-31"),
        ({"engine": "Valkey", "version": "7.2.14"}, "Valkey 7.2", "2027-04-16"),
        ({"engine": "etcd", "version": "3.4.37"}, "etcd 3.4", "2025-05-15"),
        ({"image": "quay.io/prometheus/prometheus:v2.53.1"}, "Prometheus 2.53", "2025-07-31"),
        ({"containerd_version": "1.6.36"}, "containerd 1.6", "2025-08-23"),
        ({"software": "mysql-server 8.0.36"}, "MySQL 8.0", "2026-04-30"),
        ({"software": "promtail", "version": "2.9.4"}, "Promtail 2.9.4", "2026-03-02"),
        ({"image": "registry.example/ingress-nginx/controller:v1.9.4"}, "Ingress NGINX Controller 1.9.4", "2026-03-31"),
        ({"images": ["docker.io/grafana/promtail:2.9.4"]}, "Promtail 2.9.4", "2026-03-02"),
        ({"images": ["quay.io/strimzi/x:1", "postgres:13@sha256:1234", "postgres:15"]}, "PostgreSQL 13", "2025-11-13"),
        ({"image": "localhost:5000/library/redis:7.0-alpine", "version": "1.4"}, "Redis 7.0", "2024-07-29"),
        ({"image": "redis@sha256:123456", "version": "7.0.15"}, "Redis 7.0", "2024-07-29"),
        ({"image": "nginxinc/nginx-unprivileged:1.25.3"}, "nginx 1.25", "2024-05-29"),
        ({"image": "quay.io/strimzi/mariadb:0.40.0-mariadb-10.6.1"}, "MariaDB 10.6", "2026-07-06"),
        ({"image": "registry.k8s.io/kube-proxy:v1.27.2"}, "Kubernetes 1.27", "2024-06-28"),
        ({"image": "docker.io/kindest/node:v1.27.3"}, "Kubernetes 1.27", "2024-06-28"),
        ({"kubelet": "v1.27.4+k3s1"}, "Kubernetes 1.27", "2024-06-28"),
        ({"container_runtime": "containerd://1.6.22"}, "containerd 1.6", "2025-08-23"),
        ({"container_runtime": "docker://20.10.7"}, "Docker Engine 20.10", "2023-12-10"),
        ({"docker": "24.0.7"}, "Docker Engine 24", "2024-06-08"),
        ({"engine_version": "POSTGRES_13"}, "PostgreSQL 13", "2025-11-13"),
        ({"version": "POSTGRES_13"}, "PostgreSQL 13", "2025-11-13"),
        ({"engine": "postgres", "version": "13"}, "PostgreSQL 13", "2025-11-13"),
        ({"engine_version": "MYSQL_8_0_31"}, "MySQL 8.0", "2026-04-30"),
        ({"engine": "Redis", "version": "6.2.14"}, "Redis 6.2", "2027-04-01"),
        ({"engine": "Redis", "version": "7.2.4"}, "Redis 7.2", "2029-12-01"),
        ({"containerd_version": "1.7.22"}, "containerd 1.7", "2026-09-30"),
        ({"docker": "27.5.1"}, "Docker Engine 27", "2025-05-03"),
        ({"os": "Amazon Linux 2"}, "Amazon Linux 2", "2026-06-30"),
        ({"os": "Amazon Linux 2023.5.20240701"}, "Amazon Linux 2023", "2029-06-30"),
        ({"os": "Amazon Linux AMI 2018.03"}, "Amazon Linux 2018.03", "2020-12-31"),
        ({"os": "Oracle Linux Server 8.9"}, "Oracle Linux 8", "2029-07-31"),
        ({"os": "Alibaba Cloud Linux  3.2104 LTS 64位"}, "Alibaba Cloud Linux 3", "2031-03-31"),
        ({"os": "Anolis OS 8.6"}, "Anolis OS 8", "2031-03-31"),
    ],
)
def test_a_version_belongs_to_its_cycle(attributes: dict[str, Any], what: str, on: str) -> None:
    found = one(**attributes)
    assert (found.what, str(found.on), found.verdict) == (what, on, "ends")
    assert found.source.startswith("https://")


@pytest.mark.parametrize(
    "attributes",
    [
        {"os": "Debian GNU/Linux 99"},
        {"os": "Debian"},
        {"os": "HaikuOS R1"},
        {"os": "Kylin Linux Advanced Server V10 (Tercel)"},
        {"engine": "redis", "version": "9.9.4"},
        {"image": "postgres@sha256:123456"},
        {"image": "postgres:latest"},
        {"engine": "etcd", "version": "3.5.21"},
        {"image": "prom/prometheus:v3.6.0"},
        {"warranty_ends_on": "some day"},
    ],
)
def test_what_no_rule_knows_is_unknown_never_fine(attributes: dict[str, Any]) -> None:
    found = one(**attributes)
    assert (found.verdict, found.on) == ("unknown", None)


@pytest.mark.parametrize(
    "image",
    [
        "prom/node-exporter:v1.8.2", "quay.io/prometheus/alertmanager:v0.27.0", "mongo-express:1.0",
        "oliver006/redis_exporter:v1.50.0", "confluentinc/cp-kafka:7.5.0", "nginx/nginx-ingress:3.4.0",
        "registry.k8s.io/autoscaling/cluster-autoscaler:v1.27.2", "registry.k8s.io/pause:3.9", "docker.elastic.co/kibana/kibana:8.11.1",
        "docker.io/library/alpine:3.18", "docker/dockerfile:1.5", "quay.io/calico/node:v3.26.1",
        "redis.example.com:5000/shop/web:1.0", "postgres.example.com/shop/web@sha256:16", "", ":", "@",
    ],
)  # fmt: skip
def test_a_longer_name_or_where_it_lies_is_something_else(image: str) -> None:
    assert ends_of(("container",), {"image": image}, RULES, TODAY) == []


@pytest.mark.parametrize(
    ("attributes", "what", "on"),
    [
        ({"version": "v1.30.2", "distribution": "k3s"}, "Kubernetes 1.30", date(2025, 6, 28)),
        ({"version": "v1.27.16-eks-a18cd3a"}, "Kubernetes 1.27", date(2024, 6, 28)),
        ({"version": "4.14.3", "distribution": "OpenShift"}, "OpenShift 4.14.3", None),
    ],
)
def test_the_version_of_a_cluster_is_that_of_kubernetes(attributes: dict[str, Any], what: str, on: date | None) -> None:
    found = one("k8s_cluster", **attributes)
    assert (found.sort, found.what, found.on) == ("software", what, on)
    [heir] = ends_of(("edge_cluster", "k8s_cluster"), attributes, RULES, TODAY)
    assert heir == found


def test_the_distribution_of_a_cluster_is_no_operating_system() -> None:
    assert ends_of(("k8s_cluster",), {"distribution": "k3s", "platform": "eks.5"}, RULES, TODAY) == []
    assert one("host", distribution="k3s").verdict == "unknown"


def test_no_announced_end_is_believed_as_long_as_the_pack_is_young() -> None:
    facts = {"software": "Apache HTTP Server", "version": "2.4.58"}
    assert one(**facts).verdict == "no_end"
    assert one(today=TODAY + PACK_HOLDS + timedelta(days=1), **facts).verdict == "unknown"


@pytest.mark.parametrize(
    ("kind", "name", "sort"),
    [
        ("certificate", "not_after", "certificate"),
        ("host", "tls_not_after", "certificate"),
        ("host", "warranty_ends_on", "warranty"),
        ("host", "support_ends_on", "support"),
        ("contract", "ends_on", "contract"),
        ("host", "contract_end_date", "contract"),
        ("license", "expires_on", "licence"),
        ("domain", "expires_at", "domain"),
        ("host", "expires_on", "other"),
    ],
)
def test_a_stated_day_is_an_end_of_its_sort(kind: str, name: str, sort: str) -> None:
    found = one(kind, **{name: "2027-01-31T10:00:00Z"})
    assert (found.sort, found.on) == (sort, date(2027, 1, 31))


def test_what_names_nothing_that_ends_tells_nothing() -> None:
    assert (
        ends_of(
            ("host",),
            {"kernel": "6.1", "engine_version": "2-kafka-9", "cores": 4, "spends": "x", "version": "1"},
            RULES,
            TODAY,
        )
        == []
    )


@given(
    st.dictionaries(st.sampled_from(["os", "os_version", "engine", "version", "not_after", "php_version"]), st.text())
)
def test_whatever_is_stated_is_read_without_a_fault(attributes: dict[str, str]) -> None:
    for each in ends_of(("host",), attributes, RULES, TODAY):
        assert (each.verdict == "ends") == (each.on is not None)


def test_the_pack_is_sound() -> None:
    for product in RULES.products:
        assert product.source.startswith("https://")
        assert product.cycles
        assert all(name == name.casefold() for name in product.names)
        for cycle in product.cycles.values():
            assert cycle.released < TODAY
            assert cycle.ends is None or cycle.released < cycle.ends
            assert cycle.extended is None or (cycle.ends is not None and cycle.extended > cycle.ends)


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("facts", [{"images": ["grafana/promtail:2.9.4"]}, {"image": "grafana/promtail:2.9.4"}])
def test_what_the_pods_of_a_workload_run_ends_once(facts: dict[str, Any]) -> None:
    workload = actions.create_resource(actor=ACTOR, kind="deployment", name="logs/promtail", attributes=facts)
    for name in ("logs/promtail-a", "logs/promtail-b", "logs/bare"):
        pod = actions.create_resource(actor=ACTOR, kind="pod", name=name, attributes=facts)
        if name != "logs/bare":
            actions.relate(actor=ACTOR, from_resource=pod, to_resource=workload, type="part_of")
    refresh.refresh(timezone.now())
    rows = QueueItem.objects.filter(queue=QueueName.EXPIRING)
    assert {row.resource.name for row in rows if row.resource} == {"logs/promtail", "logs/bare"}


@pytest.mark.django_db
@pytest.mark.both_databases
def test_near_ends_wait_far_ones_are_known_and_unknown_ones_wait_too() -> None:
    today = timezone.localdate()
    facts = {
        "near": {"warranty_ends_on": str(today + timedelta(days=10))},
        "far": {"warranty_ends_on": str(today + timedelta(days=400))},
        "over": {"os": "CentOS Linux 7 (Core)"},
        "dark": {"os": "HaikuOS"},
    }
    for name, attributes in facts.items():
        actions.create_resource(actor=ACTOR, kind="host", name=name, attributes=attributes)
    refresh.refresh(timezone.now())
    rows = QueueItem.objects.filter(queue=QueueName.EXPIRING)
    assert {row.resource.name for row in rows if row.resource} == set(facts)
    waits = queues.waiting(rows, queues.soon())
    assert {row.resource.name for row in waits if row.resource} == {"near", "over", "dark"}
    assert queues.counts(ACTOR)["expiring"] == 3
