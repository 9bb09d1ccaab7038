"""The stub speaks Kubernetes' wire format: the official client reads it, in pages, and knows what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integrations.kubernetes.stub import LISTS, TOKEN, ApiServer
from tests.integrations.stub_http import serving

client = pytest.importorskip("kubernetes.client", reason="the official client (requirements-dev.txt) is not installed")


@pytest.fixture
def stub() -> ApiServer:
    return ApiServer()


@pytest.fixture
def official(stub: ApiServer) -> Iterator[Any]:
    with serving(stub) as server:
        settings = client.Configuration(host=server.url)
        settings.api_key = {"authorization": f"Bearer {TOKEN}"}
        settings.retries = False
        with client.ApiClient(settings) as found:
            yield found


def test_every_list_is_read_into_the_clients_own_types(official: Any) -> None:
    core, apps, net = client.CoreV1Api(official), client.AppsV1Api(official), client.NetworkingV1Api(official)
    read = {
        "/api/v1/nodes": core.list_node,
        "/api/v1/namespaces": core.list_namespace,
        "/api/v1/pods": core.list_pod_for_all_namespaces,
        "/api/v1/services": core.list_service_for_all_namespaces,
        "/apis/apps/v1/deployments": apps.list_deployment_for_all_namespaces,
        "/apis/apps/v1/statefulsets": apps.list_stateful_set_for_all_namespaces,
        "/apis/apps/v1/daemonsets": apps.list_daemon_set_for_all_namespaces,
        "/apis/networking.k8s.io/v1/ingresses": net.list_ingress_for_all_namespaces,
    }
    assert read.keys() == LISTS.keys()
    for path, ask in read.items():
        found = ask()
        assert found.kind == LISTS[path][0]
        names = [each["metadata"]["name"] for each in LISTS[path][1]]
        assert [each.metadata.name for each in found.items] == names
    node = core.list_node().items[0]
    assert (node.status.node_info.os_image, node.status.capacity["cpu"]) == ("Debian GNU/Linux 12 (bookworm)", "4")
    assert node.status.conditions[0].last_heartbeat_time.year == 2026
    pod = core.list_pod_for_all_namespaces().items[0]
    assert (pod.spec.node_name, pod.status.pod_ip, pod.metadata.owner_references[0].kind) == (
        "n1", "10.244.0.7", "ReplicaSet",
    )  # fmt: skip
    assert apps.list_deployment_for_all_namespaces().items[0].spec.template.spec.containers[0].image == "shop/web:1.4"


@pytest.mark.parametrize("most", [1, 3])
def test_pages_are_followed_to_the_end(official: Any, most: int) -> None:
    core, names, after = client.CoreV1Api(official), [], None
    while True:
        page = core.list_pod_for_all_namespaces(limit=most, _continue=after)
        names += [each.metadata.name for each in page.items]
        after = page.metadata._continue
        if not after:
            break
        assert page.metadata.remaining_item_count == len(LISTS["/api/v1/pods"][1]) - len(names)
    assert names == [each["metadata"]["name"] for each in LISTS["/api/v1/pods"][1]]


def test_a_token_that_came_too_late_a_forbidden_list_and_a_wrong_token_are_known(
    official: Any, stub: ApiServer
) -> None:
    core = client.CoreV1Api(official)
    after = core.list_node(limit=1).metadata._continue
    stub.expired = True
    for ask, status in ((lambda: core.list_node(limit=1, _continue=after), 410), (core.list_namespace, 403)):
        stub.denied = {"/api/v1/namespaces"}
        with pytest.raises(client.ApiException) as refusal:
            ask()
        assert refusal.value.status == status
        assert official.deserialize(refusal.value.body, "V1Status", "application/json").code == status
