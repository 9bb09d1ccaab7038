"""The supervisor of the shop: `python -m tongchou.demo.supervisor FOLDER [OPTIONS.json]`.

Starts every process, tells where they are (`/targets`, in the http_sd format), restarts them by command, keeps the
databases' witness record. It starts a dead stateless process again; a dead database stays dead, because which database
may come back, and as what, is a decision. When it ends, its children end with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from tongchou.demo import haproxy
from tongchou.demo.log_pusher import LogPusher
from tongchou.demo.ports import kept_ports
from tongchou.demo.processes import NotStarted, Process, Processes, python_command
from tongchou.demo.shop.frame import Frame, Settings
from tongchou.demo.shop.http1 import Handler, Request, Response, answer, problem
from tongchou.demo.shop.release import FIRST_VERSION
from tongchou.demo.switches import RuntimeApi, Switches
from tongchou.demo.topology import BALANCED, SHOP, SPARE, Spec, services, target
from tongchou.demo.witness import Witness


@dataclass(slots=True)
class Options:
    """How this shop is to run. `noon` is the Unix time at which the shop's clock shows 12:00."""

    visits_per_second: float = 20.0
    day_seconds: float = 3600.0
    noon: float = 0.0
    seed: int = 1
    balancer: str = "auto"  # auto, haproxy, small


class Taken(Exception):
    """Another supervisor runs on this folder."""


def take(folder: Path) -> IO[str]:
    """Lock the folder; the lock ends with the process. Raises Taken."""
    lock = (folder / "supervisor.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Taken(f"a shop already runs in {folder}") from error
    return lock


def shop_settings(folder: Path, options: Options, token: str, ports: dict[str, int]) -> dict[str, Settings]:
    """Settings of every process, by name."""
    supervisor = f"127.0.0.1:{ports['supervisor']}"
    peers = {service: {name: f"127.0.0.1:{ports[name]}" for name in names} for service, names in services().items()}
    through_balancer: dict[str, object] = {"through": {"payments": f"127.0.0.1:{ports['payments']}"}}
    extra: dict[str, dict[str, object]] = {
        "customers-1": {**asdict(options), "balancer": f"127.0.0.1:{ports['traffic']}"},
        "load-balancer-1": {
            "traffic_ports": {"storefront": ports["traffic"], "payments": ports["payments"]},
            "runtime_port": ports["runtime"],
        },
        "orders-1": through_balancer,
        "orders-2": through_balancer,
    }
    return {
        spec.name: Settings(
            name=spec.name, service=spec.service, kind=spec.kind, port=ports[spec.name], version=FIRST_VERSION,
            folder=str(folder), token=token, supervisor=supervisor, peers=peers, options=extra.get(spec.name, {}),
        )
        for spec in (*SHOP, *SPARE)
    }  # fmt: skip


def write_private(path: Path, value: object) -> None:
    """JSON that only this user can read, replaced in one step."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)
    fresh.replace(path)


class Supervisor:
    """Routes and life of the supervisor process."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.token = secrets.token_urlsafe(24)
        names = ["supervisor", "traffic", "payments", "runtime", *(spec.name for spec in (*SHOP, *SPARE))]
        self.ports = ports = kept_ports(folder / "ports.json", names)
        self.settings = shop_settings(folder, options, self.token, ports)
        own = Settings(
            "supervisor-1",
            "supervisor",
            "instance",
            ports["supervisor"],
            FIRST_VERSION,
            str(folder),
            self.token,
            "",
            {},
        )
        self.spec = Spec(own.name, own.service)
        self.pusher = LogPusher(folder / "logs")
        self.frame = Frame(own)
        self.processes = Processes(folder, self.frame.client, self.frame.log.warning)
        self.witness = Witness(folder / "witness.json", "database-primary", services()["database"])
        self.haproxy = haproxy.installed() if options.balancer in ("auto", "haproxy") else None
        self.switches = Switches(RuntimeApi(ports["runtime"]))
        self._prepare()
        self._define_routes()
        self._define_metrics()

    def _prepare(self) -> None:
        (self.folder / "settings").mkdir(parents=True, exist_ok=True)
        for spec in (*SHOP, *SPARE):
            settings = self.settings[spec.name]
            path = self.folder / "settings" / f"{spec.name}.json"
            write_private(path, asdict(settings))
            command = python_command(path)
            if spec.service == "load-balancer" and self.haproxy:
                config = self.folder / "settings" / "haproxy.cfg"
                ports = {
                    "storefront": self.ports["traffic"], "payments": self.ports["payments"],
                    "runtime": self.ports["runtime"], "metrics": settings.port,
                }  # fmt: skip
                config.write_text(haproxy.config(ports, settings.peers["storefront"], settings.peers["payments"]))
                command = [self.haproxy, "-db", "-f", str(config)]
            self.processes.all[spec.name] = Process(spec, settings, command, f"127.0.0.1:{settings.port}")

    def _define_routes(self) -> None:
        frame = self.frame
        frame.route("GET", "/targets", self.targets)
        frame.route("GET", "/processes", self.list_processes)
        frame.route("GET", "/witness", self.read_witness)
        frame.guarded("POST", "/witness", self.swap_witness)
        frame.guarded("POST", "/log-push", self.push_logs)
        for spec in (*SHOP, *SPARE):
            for verb, work in (("start", self.start), ("stop", self.stop), ("restart", self.restart)):
                frame.guarded("POST", f"/processes/{spec.name}/{verb}", self._for(spec.name, work))
        for spec in SPARE:
            frame.guarded("POST", f"/processes/{spec.name}/unlist", self._for(spec.name, self.unlist))
        switches = self.switches
        frame.route("GET", "/balancer/servers", switches.answering(switches.list))
        frame.guarded("POST", "/balancer/servers", switches.answering(switches.add))
        frame.guarded("POST", "/balancer/servers/*", switches.answering(switches.switch))
        frame.tasks += [self.start_all, self.processes.watch, self.pusher.run]
        frame.closing += [self.processes.end_all, self.clean]

    def _define_metrics(self) -> None:
        up = self.frame.registry.gauge("shop_process_up", "1 while the process runs.", ("process",))
        restarts = self.frame.registry.counter("shop_process_restarts_total", "Restarts.", ("process",))
        sent = self.frame.registry.counter("shop_log_lines_sent_total", "Log lines the platform has taken.")
        dropped = self.frame.registry.counter("shop_log_lines_dropped_total", "Log lines dropped while it was away.")

        def refresh() -> None:
            sent.set(self.pusher.sent)
            dropped.set(self.pusher.dropped)
            up.values.clear()
            for name, process in self._in_use().items():
                up.set(1.0 if process.alive else 0.0, name)
                restarts.set(process.restarts, name)

        self.frame.registry.before.append(refresh)

    def _in_use(self) -> dict[str, Process]:
        """All processes but the spare ones that nobody started, or that are about to go."""
        spare = {spec.name for spec in SPARE}
        return {
            name: each
            for name, each in self.processes.all.items()
            if (each.wanted and each.listed) or name not in spare
        }

    def _for(self, name: str, work: object) -> Handler:
        async def handle(request: Request) -> Response:
            try:
                return await work(name, request)  # type: ignore[operator, no-any-return]  # one of the three methods below
            except NotStarted as error:
                return problem(502, str(error))

        return handle

    async def start_all(self) -> None:
        """Start everything, databases first, then tell in shop.json that the shop is open."""
        begun = time.monotonic()
        first = [spec.name for spec in SHOP if spec.service == "database"]
        await asyncio.gather(*(self.processes.start(name) for name in first))
        last = [spec.name for spec in SHOP if spec.service == "customers"]
        await asyncio.gather(*(self.processes.start(spec.name) for spec in SHOP if spec.name not in (*first, *last)))
        await asyncio.gather(*(self.processes.start(name) for name in last))
        self.frame.log.info("shop open", seconds=round(time.monotonic() - begun, 2))
        write_private(self.folder / "shop.json", self.facts())

    def facts(self) -> dict[str, object]:
        """Where the shop is, with the control token: for the process that started it."""
        return {
            "supervisor": f"127.0.0.1:{self.ports['supervisor']}",
            "shop": f"127.0.0.1:{self.ports['traffic']}",
            "token": self.token,
            "balancer": "haproxy" if self.haproxy else "small",
            "addresses": {spec.name: self.processes.all[spec.name].health_address for spec in SHOP},
            "pid": os.getpid(),
        }

    async def targets(self, _request: Request) -> Response:
        """All scrape targets in the http_sd format."""
        own = f"127.0.0.1:{self.ports['supervisor']}"
        found = [target(self.spec, own, {"control_url": f"http://{own}", "version": FIRST_VERSION})]
        found += [
            target(process.spec, process.health_address, self._attributes(process, f"http://{own}"))
            for process in self._in_use().values()
        ]
        return answer(found)

    def _attributes(self, process: Process, own: str) -> dict[str, str]:
        """What procedures need to know of a process; `own` is the supervisor's URL."""
        name, service = process.spec.name, process.spec.service
        release = self.processes.all["release-tool-1"].health_address
        told = {
            "control_url": f"http://{process.health_address}", "supervisor_url": own, "release_url": f"http://{release}",
            "restart_url": f"{own}/processes/{name}/restart", "version": process.settings.version,
        }  # fmt: skip
        if service in (*BALANCED, "load-balancer"):
            told["runtime_api"] = f"127.0.0.1:{self.ports['runtime']}"
        if service in BALANCED:
            told |= {"backend": service, "balancer_url": f"{own}/balancer/servers/{name}"}
        if service == "load-balancer":
            spare = self.processes.all[SPARE[0].name]
            told |= {
                "control_url": f"{own}/balancer", "spare_name": spare.spec.name, "spare_address": spare.health_address,
                "spare_start_url": f"{own}/processes/{spare.spec.name}/start",
                "spare_unlist_url": f"{own}/processes/{spare.spec.name}/unlist",
                "spare_stop_url": f"{own}/processes/{spare.spec.name}/stop",
            }  # fmt: skip
        if service == "database":
            peer = next(each for each in services()["database"] if each != name)
            told["peer_control_url"] = f"http://{self.processes.all[peer].health_address}"
            told["peer_restart_url"] = f"{own}/processes/{peer}/restart"
        return told

    async def list_processes(self, _request: Request) -> Response:
        """All processes with pid, address, version."""
        return answer({"items": [process.facts() for process in self.processes.all.values()]})

    async def read_witness(self, _request: Request) -> Response:
        """The databases' record."""
        return answer(self.witness.record)

    async def swap_witness(self, request: Request) -> Response:
        """Compare-and-set of the databases' record; 409 when the version is another."""
        value = request.json()
        try:
            swapped = self.witness.swap(
                int(value["expect"]),
                int(value["epoch"]),
                str(value["primary"]),
                [str(name) for name in value["in_sync"]],
            )
        except (KeyError, TypeError, ValueError) as error:
            return problem(422, f"expect, epoch, primary, in_sync are needed: {error!r}")
        self.frame.log.info("witness", swapped=swapped, record=self.witness.record)
        return answer(self.witness.record) if swapped else problem(409, "the record has another version")

    async def push_logs(self, request: Request) -> Response:
        """Where the shop's log lines go: {"url": .., "token": ..}."""
        try:
            self.pusher.connect(request.json())
        except KeyError as error:
            return problem(422, f"url and token are needed: {error!r}")
        return answer({"held": self.pusher.held})

    async def start(self, name: str, _request: Request) -> Response:
        """Start a process that does not run."""
        self.processes.all[name].listed = True
        await self.processes.start(name)
        return answer(self.processes.all[name].facts())

    async def stop(self, name: str, _request: Request) -> Response:
        """Stop a process; it stays stopped until started by command."""
        await self.processes.stop(name)
        return answer(self.processes.all[name].facts())

    async def unlist(self, name: str, _request: Request) -> Response:
        """Take a spare process off the list of targets, so that its end is no outage to anybody who watches."""
        self.processes.all[name].listed = False
        return answer(self.processes.all[name].facts())

    async def restart(self, name: str, request: Request) -> Response:
        """Restart a process, with another version and its switches when the body names them."""
        process, value = self.processes.all[name], request.json()
        if "version" in value:
            process.settings.version = str(value["version"])
            process.settings.switches = {str(key): float(number) for key, number in value.get("switches", {}).items()}
            write_private(self.folder / "settings" / f"{name}.json", asdict(process.settings))
        await self.processes.restart(name)
        return answer(process.facts())

    def clean(self) -> None:
        """Remove what must not be found by the next run."""
        (self.folder / "shop.json").unlink(missing_ok=True)


def main() -> None:
    """Entry point."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(**json.loads(Path(sys.argv[2]).read_text())) if len(sys.argv) > 2 else Options(noon=time.time())
    try:
        lock = take(folder)
    except Taken as error:
        raise SystemExit(str(error)) from error
    (folder / "shop.json").unlink(missing_ok=True)

    async def run() -> None:
        await Supervisor(folder, options).frame.run()

    asyncio.run(run())
    lock.close()


if __name__ == "__main__":
    main()
