"""A server that behaves like Jenkins: queue, quiet period, crumbs, parameters, logs, stop. After Jenkins 2.4xx' own code.

It is a real HTTP server on a port of loopback that can be stopped and started again there, keeping what it knows.
"""

from __future__ import annotations

import base64
import http.server
import json
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

CRUMB_FIELD = "Jenkins-Crumb"


@dataclass
class Build:
    number: int
    queue_id: int
    parameters: list[dict[str, Any]]
    began: float
    seconds: float
    result: str
    log: str
    user: str = "ops"
    stopped_at: float | None = None
    stubborn: bool = False
    deleted: bool = False

    @property
    def over_at(self) -> float:
        end = self.began + self.seconds
        return end if self.stopped_at is None else min(end, self.stopped_at)

    @property
    def building(self) -> bool:
        return time.time() < self.over_at

    @property
    def outcome(self) -> str | None:
        if self.building:
            return None
        return "ABORTED" if self.stopped_at is not None and self.stopped_at < self.began + self.seconds else self.result


@dataclass
class Item:
    id: int
    job: str
    parameters: list[dict[str, Any]]
    since: float
    until: float
    cancelled: bool = False
    number: int | None = None


@dataclass
class Job:
    """`parameters`: name to a type ("String", "Password", "Choice"), or a list of choices."""

    parameters: dict[str, Any] = field(default_factory=dict)
    buildable: bool = True
    seconds: float = 0.3
    result: str = "SUCCESS"
    log: str = "Started\nFinished: SUCCESS\n"
    quiet: float = 0.1
    stubborn: bool = False
    git: dict[str, str] = field(default_factory=dict)
    builds: list[Build] = field(default_factory=list)
    next_number: int = 1


class Jenkins:
    """The server. What a test changes: `users`, `crumbs`, `answers` (what to answer next), `lost_posts`, `forget`."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.items: dict[int, Item] = {}
        self.users = {"ops": "api-token-1234567890"}
        self.crumbs = False
        self.forget = 300.0  # seconds an item is known after it left the queue
        self.latency = 0.0
        self.answers: list[tuple[int, bytes]] = []
        self.redirect = ""
        self.lost_posts = 0  # done, but the connection breaks before the answer
        self.no_jenkins = False
        self.asked: list[tuple[str, str]] = []
        self.authorizations: list[str] = []
        self.lock = threading.RLock()
        self._next_id = 100
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/jenkins"

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def posts(self, ending: str) -> int:
        return sum(1 for method, path in self.asked if method == "POST" and urlsplit(path).path.endswith(ending))

    # --- what happens in it

    def tick(self) -> None:
        """What has left the quiet period becomes a build."""
        for item in self.items.values():
            if item.number is None and not item.cancelled and time.time() >= item.until:
                item.number = self.build(item.job, item.parameters, queue_id=item.id).number

    def build(
        self, name: str, parameters: list[dict[str, Any]] | None = None, *, queue_id: int = 0, **more: Any
    ) -> Build:
        job = self.jobs[name]
        build = Build(
            job.next_number, queue_id, parameters or [], more.pop("began", time.time()), more.pop("seconds", job.seconds),
            more.pop("result", job.result), job.log, stubborn=job.stubborn, **more,
        )  # fmt: skip
        job.next_number += 1
        job.builds.append(build)
        return build

    def schedule(self, name: str, form: dict[str, str], *, with_parameters: bool) -> int:
        """Jenkins makes values of declared parameters only, and folds what waits with the same ones."""
        job = self.jobs[name]
        values = [
            {"name": each, "value": form.get(each, kind[0] if isinstance(kind, list) else ""), "_kind": kind}
            for each, kind in job.parameters.items()
        ] if with_parameters or job.parameters else []  # fmt: skip
        for item in self.items.values():
            if item.job == name and item.number is None and not item.cancelled and item.parameters == values:
                return item.id
        self._next_id += 1
        now = time.time()
        self.items[self._next_id] = Item(self._next_id, name, values, now, now + job.quiet)
        return self._next_id

    def shown_build(self, name: str, build: Build) -> dict[str, Any]:
        actions: list[dict[str, Any]] = [
            {"_class": "hudson.model.CauseAction", "causes": [{"userName": build.user}]},
            {},
        ]
        if build.parameters:
            actions.append({"parameters": shown(build.parameters)})
        git = self.jobs[name].git
        if git:
            revision = {"SHA1": git["sha"], "branch": [{"SHA1": git["sha"], "name": git["branch"]}]}
            actions.append({"lastBuiltRevision": revision})
        return {
            "number": build.number, "queueId": build.queue_id, "building": build.building, "result": build.outcome,
            "timestamp": int(build.began * 1000), "actions": actions,
            "duration": 0 if build.building else int((build.over_at - build.began) * 1000),
            "url": f"http://ci.internal.example/job/x/{build.number}/",
        }  # fmt: skip


def shown(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A password has a name and no value."""
    return [
        {key: each[key] for key in (("name",) if each.get("_kind") == "Password" else ("name", "value"))}
        for each in parameters
    ]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # a client that hung up


def _handler(jenkins: Jenkins) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            return

        def do_GET(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def _do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            form = dict(parse_qsl(self.rfile.read(length).decode(), keep_blank_values=True))
            time.sleep(jenkins.latency)
            with jenkins.lock:
                jenkins.asked.append((self.command, self.path))
                jenkins.authorizations.append(self.headers.get("Authorization", ""))
                jenkins.tick()
                status, headers, body = self._answer(form)
                lost = self.command == "POST" and jenkins.lost_posts > 0
                if lost:
                    jenkins.lost_posts -= 1
            if lost:
                self.connection.close()
                return
            self.send_response(status)
            if not jenkins.no_jenkins:
                self.send_header("X-Jenkins", "2.516.3")
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self, form: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
            if jenkins.answers:
                status, body = jenkins.answers.pop(0)
                return status, [], body
            if jenkins.redirect:
                return 302, [("Location", jenkins.redirect)], b""
            user = self._user()
            if user is None:
                return 401, [("WWW-Authenticate", "Basic")], b"<html>HTTP ERROR 401 Unauthorized</html>"
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            path = parts.path.removeprefix("/jenkins")
            if self.command == "POST":
                if jenkins.crumbs and not self._crumbed():
                    return 403, [], b"<html>No valid crumb was included in the request</html>"
                return self._post(path, query, form)
            return self._get(path, query, user)

        def _user(self) -> str | None:
            try:
                given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            except ValueError:
                return None
            name, _, token = given.partition(":")
            return name if jenkins.users.get(name) == token and token else None

        def _crumbed(self) -> bool:
            session = re.search(r"JSESSIONID\.ab12=([a-z0-9]+)", self.headers.get("Cookie", ""))
            return session is not None and self.headers.get(CRUMB_FIELD) == f"crumb-{session[1]}"

        def _post(self, path: str, query: dict[str, str], form: dict[str, str]) -> Any:
            if path == "/queue/cancelItem":
                item = jenkins.items.get(int(query["id"]))
                if item is None or item.number is not None:
                    return 404, [], b""
                item.cancelled = True
                return 302, [("Location", "/jenkins/queue/")], b""
            found = re.fullmatch(r"((?:/job/[^/]+)+)(?:/(\d+))?/(build|buildWithParameters|stop)", path)
            name = _name(found[1]) if found else ""
            job = jenkins.jobs.get(name)
            if found is None or job is None:
                return 404, [], b"<html>HTTP ERROR 404 Not Found</html>"
            if found[3] == "stop":
                build = next((each for each in job.builds if each.number == int(found[2])), None)
                if build is None:
                    return 404, [], b""
                if build.building and not build.stubborn:
                    build.stopped_at = time.time()
                return 302, [("Location", f"/jenkins{found[1]}/{found[2]}/")], b""
            if not job.buildable:
                return 409, [], b"<html>is not buildable</html>"
            with_parameters = found[3] == "buildWithParameters"
            if with_parameters and not job.parameters:
                return 500, [], b"<html>java.lang.IllegalStateException: This build is not parameterized!</html>"
            if not with_parameters and job.parameters:
                return 400, [], b"<html>Nothing is submitted</html>"
            for each, kind in job.parameters.items():
                if isinstance(kind, list) and form.get(each, kind[0]) not in kind:
                    return 500, [], b"<html>Illegal choice for parameter</html>"
            item_id = jenkins.schedule(name, form, with_parameters=with_parameters)
            return 201, [("Location", f"http://ci.internal.example/jenkins/queue/item/{item_id}/")], b""

        def _get(self, path: str, query: dict[str, str], user: str) -> Any:
            if path == "/crumbIssuer/api/json":
                session = f"node0{time.monotonic_ns():x}"
                told = {"crumb": f"crumb-{session}", "crumbRequestField": CRUMB_FIELD}
                cookies = [("Set-Cookie", f"JSESSIONID.ab12={session}; Path=/jenkins; HttpOnly"), ("Set-Cookie", "x=1")]
                return (200, cookies, _json(told)) if jenkins.crumbs else (404, [], b"")
            if path == "/me/api/json":
                return 200, [], _json({"id": user, "fullName": f"{user.title()} Robot"})
            if path == "/queue/api/json":
                waiting = [each for each in jenkins.items.values() if each.number is None and not each.cancelled]
                items = [{"id": each.id, "actions": [{"parameters": shown(each.parameters)}]} for each in waiting]
                return 200, [], _json({"items": items})
            if found := re.fullmatch(r"/queue/item/(\d+)/api/json", path):
                return self._item(int(found[1]))
            if path == "/api/json":
                return 200, [], _json(self._root(query.get("tree", "")))
            if found := re.fullmatch(r"((?:/job/[^/]+)+)/(\d+)/(api/json|logText/progressiveText)", path):
                return self._build(_name(found[1]), int(found[2]), found[3], query)
            found = re.fullmatch(r"((?:/job/[^/]+)+)/api/json", path)
            job = jenkins.jobs.get(_name(found[1])) if found else None
            if found is None or job is None:
                return 404, [], b"<html>HTTP ERROR 404 Not Found</html>"
            return 200, [], _json(self._job(_name(found[1]), job, query.get("tree", "")))

        def _item(self, item_id: int) -> Any:
            item = jenkins.items.get(item_id)
            if item is None or (item.number is not None and time.time() > item.until + jenkins.forget):
                return 404, [], b"<html>HTTP ERROR 404 Not Found</html>"
            told: dict[str, Any] = {"id": item.id, "inQueueSince": int(item.since * 1000), "why": None}
            if item.number is not None:
                told |= {
                    "cancelled": False,
                    "executable": {"number": item.number, "url": "http://ci.internal.example/"},
                }
            elif item.cancelled:
                told |= {"cancelled": True, "executable": None}
            else:
                told["why"] = "In the quiet period. Expires in 2.4 sec"
            return 200, [], _json(told)

        def _root(self, tree: str) -> dict[str, Any]:
            """Folders hold jobs as deep as the tree asks."""
            depth = tree.count("jobs[")

            def level(prefix: str, left: int) -> list[dict[str, Any]]:
                names = {name.removeprefix(prefix).split("/")[0] for name in jenkins.jobs if name.startswith(prefix)}
                out: list[dict[str, Any]] = []
                for name in sorted(names):
                    job = jenkins.jobs.get(prefix + name)
                    if job is not None:
                        last = {"number": job.builds[-1].number} if job.builds else None
                        out.append({"fullName": prefix + name, "lastBuild": last})
                    elif left > 0:
                        out.append({"fullName": prefix + name, "jobs": level(f"{prefix}{name}/", left - 1)})
                return out

            return {"mode": "NORMAL", "jobs": level("", depth - 1)} if depth else {"mode": "NORMAL"}

        def _job(self, name: str, job: Job, tree: str) -> dict[str, Any]:
            if found := re.search(r"\{(\d+),(\d+)\}\Z", tree):
                newest = [each for each in reversed(job.builds) if not each.deleted][int(found[1]) : int(found[2])]
                return {"allBuilds": [jenkins.shown_build(name, each) for each in newest]}
            definitions = [
                {"name": each, "type": "ChoiceParameterDefinition", "choices": kind}
                if isinstance(kind, list)
                else {"name": each, "type": f"{kind}ParameterDefinition"}
                for each, kind in job.parameters.items()
            ]
            properties = [{}, {"parameterDefinitions": definitions}] if definitions else [{}]
            return {
                "fullName": name,
                "buildable": job.buildable,
                "nextBuildNumber": job.next_number,
                "property": properties,
            }

        def _build(self, name: str, number: int, what: str, query: dict[str, str]) -> Any:
            job = jenkins.jobs.get(name)
            build = (
                next((each for each in job.builds if each.number == number and not each.deleted), None) if job else None
            )
            if build is None:
                return 404, [], b"<html>HTTP ERROR 404 Not Found</html>"
            if what == "api/json":
                return 200, [], _json(jenkins.shown_build(name, build))
            text = build.log.encode()
            start = int(query.get("start", "0"))
            start = 0 if start > len(text) else start
            more = [("X-More-Data", "true")] if build.building else []
            return 200, [("X-Text-Size", str(len(text))), *more], text[start:]

    return Handler


def _name(path: str) -> str:
    return "/".join(unquote(each) for each in re.findall(r"/job/([^/]+)", path))


def _json(told: Any) -> bytes:
    return json.dumps({"_class": "hudson.model.Hudson", **told}).encode()
