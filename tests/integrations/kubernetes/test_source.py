from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integrations import laws
from tests.integrations.kubernetes.stub import LISTS, TOKEN, UUID, ApiServer
from tests.integrations.stub_http import Stub, serving
from tongchou.core import secrets
from tongchou.core.problems import Invalid, Problem, Unavailable
from tongchou.integrations.kubernetes import access
from tongchou.integrations.kubernetes.source import SOURCE
from tongchou.integrations.kubernetes.things import provider_key, quantity_bytes
from tongchou.inventory import sources
from tongchou.inventory.models import Resource

pytestmark = pytest.mark.django_db


@pytest.fixture
def api_server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def server(api_server: ApiServer, settings: Any) -> Iterator[Stub]:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    secrets.put(actor=laws.ACTOR, name="k8s", value=TOKEN)
    with serving(api_server) as stub:
        yield stub


def asked_with(server: Stub, **more: Any) -> dict[str, Any]:
    return SOURCE.validate({"url": server.url, "token_secret": "k8s", **more})


def test_a_cluster_is_read(server: Stub) -> None:
    seen = SOURCE.fetch(asked_with(server), source="prod")
    things = laws.by_name(seen)
    assert sorted(things) == [
        ("deployment", "shop/db"), ("deployment", "shop/web"), ("host", "n1"), ("host", "n2"), ("host", "n3"),
        ("ingress", "shop/front"), ("k8s_cluster", "prod"), ("k8s_namespace", "shop"), ("pod", "shop/db-0"),
        ("pod", "shop/debug"), ("pod", "shop/web-7d4b9c-x1"), ("service", "shop/web"),
    ]  # fmt: skip
    assert things["k8s_cluster", "prod"].attributes["version"] == "v1.31.2"
    n1 = things["host", "n1"]
    assert n1.keys == ("kubernetes:prod:node:n1", f"machine-id:{'aa' * 16}", f"uuid:{UUID}01", "aws:i-0a1")
    assert (n1.attributes["cpu_count"], n1.attributes["memory_bytes"]) == (4, 16393012 * 1024)
    assert n1.attributes["address"] == "10.0.1.5"
    pod = things["pod", "shop/web-7d4b9c-x1"].attributes
    assert (pod["image"], pod["node_name"]) == ("shop/web:1.4", "n1")
    assert things["host", "n2"].keys == ("kubernetes:prod:node:n2", f"uuid:{UUID}02")  # its machine id is a copy's
    assert any("n2" in warning for warning in seen.warnings)
    assert things["deployment", "shop/web"].attributes == {
        "namespace": "shop", "cluster": "prod", "workload_type": "Deployment", "image": "shop/web:1.4",
    }  # fmt: skip
    assert things["deployment", "shop/db"].attributes["workload_type"] == "StatefulSet"
    shared = {(name, "part_of", "prod") for name in ("n1", "n2", "n3", "shop")}
    assert {edge for edge in laws.edges(seen) if edge not in shared} == {
        ("shop/web", "part_of", "shop"),
        ("shop/db", "part_of", "shop"),
        ("shop/debug", "part_of", "shop"),
        ("shop/web-7d4b9c-x1", "runs_on", "n1"),
        ("shop/web-7d4b9c-x1", "part_of", "shop/web"),
        ("shop/db-0", "runs_on", "n2"),
        ("shop/db-0", "part_of", "shop/db"),
        ("shop/web", "part_of", "shop/web"),
        ("shop/front", "calls", "shop/web"),
    }
    assert seen.complete
    assert "canary" not in repr(seen)


def test_a_version_that_may_not_be_read_is_left_out_and_the_look_is_whole(server: Stub, api_server: ApiServer) -> None:
    api_server.denied = {"/version"}
    seen = SOURCE.fetch(asked_with(server), source="prod")
    assert "version" not in laws.by_name(seen)["k8s_cluster", "prod"].attributes
    assert seen.complete
    assert any("/version" in warning for warning in seen.warnings)


def test_it_settles_and_what_is_made_anew_or_scaled_is_the_same(server: Stub, api_server: ApiServer) -> None:
    config = laws.configured("kubernetes", {"url": server.url, "token_secret": "k8s"})
    laws.settles(config)
    kind, rows = api_server.lists["/api/v1/pods"]
    again = copy.deepcopy(rows)
    again[1]["metadata"]["uid"], again[1]["status"]["phase"] = "other", "Running"
    api_server.lists["/api/v1/pods"] = (kind, again)
    kind, rows = api_server.lists["/apis/apps/v1/deployments"]
    scaled = copy.deepcopy(rows)
    scaled[0]["spec"]["replicas"] = 9
    api_server.lists["/apis/apps/v1/deployments"] = (kind, scaled)
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something
    assert TOKEN not in laws.everything_recorded()


@pytest.mark.parametrize("most", [1, 2])
def test_pages_are_read_to_the_end(server: Stub, api_server: ApiServer, most: int) -> None:
    whole = SOURCE.fetch(asked_with(server), source="prod")
    api_server.most = most
    assert laws.same(SOURCE.fetch(asked_with(server), source="prod"), whole)


def test_a_list_that_is_denied_or_expires_makes_the_look_a_part(server: Stub, api_server: ApiServer) -> None:
    config = laws.configured("kubernetes", {"url": server.url, "token_secret": "k8s"})
    sources.run_source(actor=laws.ACTOR, source=config)
    count = Resource.objects.count()
    api_server.denied = {"/api/v1/nodes"}
    assert not sources.run_source(actor=laws.ACTOR, source=config).gone
    api_server.denied, api_server.most, api_server.expired = set(), 1, True
    seen = sources.look(config)
    assert not seen.complete
    sources.apply_sync(actor=laws.ACTOR, source=config, observation=seen)
    api_server.denied = set(LISTS)
    with pytest.raises(Unavailable):
        sources.run_source(actor=laws.ACTOR, source=config)
    assert Resource.objects.filter(state="active").count() == count


def test_pods_can_be_left_out(server: Stub) -> None:
    seen = SOURCE.fetch(asked_with(server, pods=False, cluster="c9"), source="prod")
    assert "pod" not in {each.kind for each in seen.resources}
    assert laws.by_name(seen)["k8s_cluster", "c9"].keys == ("kubernetes:c9",)


def kubeconfig(stub: Stub, **user: Any) -> str:
    authority = base64.b64encode(stub.certificate.encode()).decode()
    cluster = {"server": stub.url, "certificate-authority-data": authority}
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {"token": TOKEN}}],
    })  # fmt: skip


def test_a_kubeconfig_is_kept_as_a_secret_and_its_authority_is_checked(
    settings: Any, tmp_path: Path, api_server: ApiServer
) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    with serving(api_server, tls_in=tmp_path) as stub:
        secrets.put(actor=laws.ACTOR, name="kc", value=kubeconfig(stub))
        config = laws.configured("kubernetes", {"kubeconfig_secret": "kc"})
        assert not sources.waits(config)
        assert len(sources.run_source(actor=laws.ACTOR, source=config).created) == 12
        stub.certificate = ""
        secrets.put(actor=laws.ACTOR, name="kc", value=kubeconfig(stub))
        with pytest.raises(Unavailable) as refusal:
            sources.run_source(actor=laws.ACTOR, source=config)
    assert refusal.value.code == "kubernetes.tls"
    assert TOKEN not in laws.everything_recorded()


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"command": "/bin/sh"}}, {"auth-provider": {"name": "x"}}, {"tokenFile": "/etc/shadow"},
        {"client-certificate": "/a"}, {"client-certificate-data": "!!", "client-key-data": "canary"},
    ],
)  # fmt: skip
def test_a_kubeconfig_starts_no_program_and_reads_no_file(user: dict[str, Any]) -> None:
    secrets.put(actor=laws.ACTOR, name="kc", value=kubeconfig(Stub("https://10.0.0.1:6443"), **user))
    with pytest.raises(Invalid) as refusal:
        access.of({"kubeconfig_secret": "kc"})
    assert refusal.value.code == "kubernetes.kubeconfig"
    assert "canary" not in repr(refusal.value.as_dict())


@pytest.mark.parametrize("written", ["", "canary", "[", "a: &a [*a]", "current-context: x"])
def test_what_is_no_kubeconfig_is_refused_without_quoting_it(written: str) -> None:
    secrets.put(actor=laws.ACTOR, name="kc", value=written or " ")
    with pytest.raises(Problem) as refusal:
        access.of({"kubeconfig_secret": "kc"})
    assert "canary" not in repr(refusal.value.as_dict())


def test_outside_a_pod_there_is_no_account_of_one() -> None:
    with pytest.raises(Unavailable):
        access.of({"in_cluster": True})


def test_one_way_to_the_cluster_is_wanted() -> None:
    for settings_ in ({}, {"url": "https://k", "in_cluster": True}):
        with pytest.raises(Invalid):
            SOURCE.validate(settings_)


def test_another_server_is_refused(settings: Any) -> None:
    settings.HTTP_ALLOW = ["127.0.0.0/8"]
    with serving(lambda *_: (200, {"kind": "Status"})) as stub, pytest.raises(Unavailable) as refusal:
        SOURCE.fetch(SOURCE.validate({"url": stub.url}), source="x")
    assert refusal.value.code == "kubernetes.shape"


def test_quantities_and_providers() -> None:
    assert [quantity_bytes(text) for text in ("1Ki", "2M", "3", "x", "1e3")] == [1024, 2_000_000, 3, None, None]
    assert provider_key("gce://p/z/n") == "gcp:projects/p/zones/z/instances/n"
    assert provider_key("azure:///subscriptions/S/x") == "azure:subscriptions/s/x"
    assert provider_key("kind://docker/k/n") is None
