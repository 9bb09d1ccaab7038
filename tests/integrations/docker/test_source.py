from __future__ import annotations

import http.server
import json
import random
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations import laws
from tongchou.core import settings_store
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.docker.run_time_settings import SOCKETS
from tongchou.integrations.docker.source import SOURCE, observe
from tongchou.inventory import sources
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import Resource

IMAGE = "sha256:9c7a54a9a43cca047013b82af109fe963fde787f63f9e016fdc3384500c2823d"
# field for field as the Engine API 1.43 answers
ANSWERS: dict[str, Any] = {
    "/info": {
        "ID": "7TRN:IPZB:QYBB:VPBQ", "Name": "box", "ServerVersion": "24.0.7", "OperatingSystem": "Debian GNU/Linux 12",
        "Architecture": "x86_64", "NCPU": 8, "MemTotal": 16777216000, "HttpProxy": "http://u:canary@proxy",
    },
    "/images/json": [
        {"Id": IMAGE, "RepoTags": ["nginx:1.25"], "RepoDigests": ["nginx@sha256:10d1f5b5"], "Size": 187000000,
         "Labels": {"maintainer": "canary"}, "Containers": -1},
        {"Id": "sha256:0123456789abcdef", "RepoTags": None, "RepoDigests": None, "Size": 1},
    ],
    "/networks": [
        {"Name": "shop_default", "Id": "7d86", "Driver": "bridge", "Scope": "local", "IPAM": {"Config": [{"Subnet": "172.19.0.0/16"}]}},
    ],
    "/containers/json": [
        {
            "Id": "8dfafdbc3a40", "Names": ["/shop-web-1", "/shop-lb-1/web"], "Image": "nginx:1.25", "ImageID": IMAGE,
            "Command": "run --password canary", "Created": 1367854155, "State": "running", "Status": "Up 2 hours",
            "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}, {"PrivatePort": 443, "Type": "tcp"}],
            "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "traefik.auth": "canary"},
            "NetworkSettings": {"Networks": {"shop_default": {"NetworkID": "7d86", "IPAddress": "172.19.0.2"}}},
            "Mounts": [
                {"Type": "volume", "Name": "shop_data", "Driver": "local", "Destination": "/data"},
                {"Type": "bind", "Source": "/etc/canary", "Destination": "/x"},
            ],
        },
        {"Id": "1", "Names": ["/alone"], "Image": "sha256:0123456789abcdef", "ImageID": "sha256:0123456789abcdef", "State": "exited",
         "Ports": [], "Labels": {}, "NetworkSettings": {"Networks": {}}, "Mounts": []},
    ],
}  # fmt: skip


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> Any:
        connection, _address = super().get_request()
        return connection, ("unix", 0)


@pytest.fixture
def engine(tmp_path: Path, db: None, socket_enabled: Any) -> Iterator[Any]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = self.path.partition("?")[0]
            server.asked.append((self.command, self.path))
            found = server.answers.get(place)
            body = json.dumps(found if found is not None else {"message": "page not found"}).encode()
            self.send_response(200 if found is not None else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            return

    path = str(tmp_path / "docker.sock")
    server: Any = Server(path, Handler)
    server.path, server.answers, server.asked = path, dict(ANSWERS), []
    settings_store.put(actor=laws.ACTOR, key=SOCKETS, value=[path])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def seen_of(answers: dict[str, Any]) -> Any:
    gathering = Gathering()
    named = {
        "info": answers["/info"],
        **{name.split("/")[1]: found for name, found in answers.items() if name != "/info"},
    }
    observe(gathering, named, source="d", machine_id="m1")
    return gathering.observation()


def test_an_engine_is_read_over_its_socket_with_get_alone(engine: Any) -> None:
    seen = SOURCE.fetch({"socket": engine.path}, source="d")
    things = laws.by_name(seen)
    assert {method for method, _path in engine.asked} == {"GET"}
    assert sorted(things) == [
        ("application", "shop"), ("container", "alone"), ("container", "shop-web-1"), ("container_image", "nginx:1.25"),
        ("container_image", "sha256:0123456789ab"), ("host", "box"), ("network", "box shop_default"), ("volume", "box shop_data"),
    ]  # fmt: skip
    web = things["container", "shop-web-1"]
    assert web.attributes == {
        "image": "nginx:1.25",
        "image_id": IMAGE,
        "run_state": "running",
        "ports": ["0.0.0.0:8080->80/tcp"],
    }
    assert web.labels == {"compose_project": "shop", "compose_service": "web"}
    assert laws.edges(seen) == {
        ("box shop_default", "runs_on", "box"),
        ("shop-web-1", "runs_on", "box"),
        ("shop-web-1", "instance_of", "nginx:1.25"),
        ("shop-web-1", "uses", "box shop_default"),
        ("shop-web-1", "stores_in", "box shop_data"),
        ("shop-web-1", "part_of", "shop"),
        ("alone", "runs_on", "box"),
        ("alone", "instance_of", "sha256:0123456789ab"),
    }
    assert "canary" not in repr(seen)


def test_it_settles_and_a_container_made_anew_is_the_same(engine: Any) -> None:
    config = laws.configured("docker", {"socket": engine.path})
    laws.settles(config)
    again = json.loads(json.dumps(ANSWERS["/containers/json"]))
    again[0] |= {"Id": "other", "Status": "Up 1 second", "Created": 1}
    again[0]["NetworkSettings"]["Networks"]["shop_default"]["IPAddress"] = "172.19.0.9"
    engine.answers["/containers/json"] = again
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something


def test_a_list_that_fails_makes_the_look_a_part_and_no_engine_touches_nothing(engine: Any) -> None:
    config = laws.configured("docker", {"socket": engine.path})
    sources.run_source(actor=laws.ACTOR, source=config)
    count = Resource.objects.count()
    del engine.answers["/containers/json"]
    assert not sources.run_source(actor=laws.ACTOR, source=config).changes_something
    del engine.answers["/info"]
    with pytest.raises(Unavailable):
        sources.run_source(actor=laws.ACTOR, source=config)
    assert Resource.objects.filter(state="active").count() == count


def test_a_socket_that_is_not_listed_is_not_opened(engine: Any) -> None:
    with pytest.raises(Invalid):
        SOURCE.fetch({"socket": "/var/run/other.sock"}, source="d")
    assert engine.asked == []


def test_a_socket_that_is_not_there_is_told(db: None, tmp_path: Path, socket_enabled: Any) -> None:
    path = str(tmp_path / "none.sock")
    settings_store.put(actor=laws.ACTOR, key=SOCKETS, value=[path])
    with pytest.raises(Unavailable) as refusal:
        SOURCE.fetch({"socket": path}, source="d")
    assert "Docker" in str(refusal.value.remedy)


@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_order_says_nothing(chance: random.Random) -> None:
    mixed = json.loads(json.dumps(ANSWERS))
    for found in mixed.values():
        if isinstance(found, list):
            chance.shuffle(found)
    assert laws.same(seen_of(mixed), seen_of(ANSWERS))
