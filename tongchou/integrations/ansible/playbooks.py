"""Runs the playbook of a project over many hosts at once: to show what it would change, or for real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.utils.translation import gettext as _

from tongchou.changes.playbook_ports import HostResult, Outcome, Watch, Work
from tongchou.core import settings_store
from tongchou.core.http import Failed, Refused, permitted
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.ansible import collecting, events, inventory, keeper, launch, per_host, project, scratch
from tongchou.integrations.ansible.events import Hide
from tongchou.integrations.ansible.inventory import Host
from tongchou.integrations.ansible.run_time_settings import LOCAL, ROOTS
from tongchou.runbooks import template
from tongchou.runbooks.mask import masker

MAX_FILES_SHOWN = 500
CONNECTS = ("ansible_host", "ansible_port", "ansible_user", "ansible_connection", "ansible_python_interpreter")


class AnsiblePlaybooks:
    """Satisfies changes.Playbooks."""

    def files(self, folder: str) -> Sequence[str]:
        """YAML files directly in the folder, by name."""
        root = allowed(folder)
        found = sorted(path.name for path in root.glob("*.y*ml") if path.is_file() and not path.is_symlink())
        return found[:MAX_FILES_SHOWN]

    def tree(self, folder: str, playbook: str) -> str:
        """The hash of the folder as it is now."""
        try:
            return project.take(str(allowed(folder)), playbook)
        except project.ProjectError as error:
            raise Invalid("playbook.folder", str(error), field="playbook", value=playbook) from error

    def hosts(
        self, targets: Mapping[str, Mapping[str, Any]], *, accept_new: bool, ssh_key: bool
    ) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """Where each host is, by its attributes, as a step of kind ansible finds it."""
        out: dict[str, dict[str, Any]] = {}
        wrong: list[str] = []
        for name, target in targets.items():
            host = replace(inventory.read(inventory.from_target(target)), name=name)
            out[name] = host.as_json()
            said = inventory.problems(host, local=settings_store.get(LOCAL), accept_new=accept_new, ssh_key=ssh_key)
            wrong += [f"{name}: {each}" for each in said]
        return out, wrong

    def do(self, work: Work, *, check: bool, watch: Watch | None = None) -> Outcome:
        """One process for all hosts of the limit. What is kept is masked with every secret."""
        if not launch.installed():
            raise Unavailable("playbook.tools", _("ansible-runner is not installed; run make tools."))
        hide = masker(work.secrets.values())
        try:
            found = _do(work, check, watch, hide)
        except (Refused, Failed) as error:
            return Outcome(problem=str(hide(str(error.detail))))
        except (template.TemplateError, project.ProjectError) as error:
            return Outcome(problem=str(hide(str(getattr(error, "says", error)))))
        return Outcome(found.hosts, str(hide(found.problem)))

    def collect(
        self, work: Work, *, watch: Mapping[str, Any], showable: Sequence[str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, str], str]:
        """One process for all hosts; its modules only read."""
        if not launch.installed():
            raise Unavailable("playbook.tools", _("ansible-runner is not installed; run make tools."))
        hide = masker(work.secrets.values())
        try:
            found, wrong, problem = _collect(work, watch, list(showable), hide)
        except (Refused, Failed) as error:
            return {}, {}, str(hide(str(error.detail)))
        return hide(found), hide(wrong), str(hide(problem))


def _collect(
    work: Work, watch: Mapping[str, Any], patterns: list[str], hide: Hide
) -> tuple[dict[str, dict[str, Any]], dict[str, str], str]:
    setup = work.setup
    hosts = [_resolved(inventory.read(setup["hosts"][name])) for name in work.limit]
    root = settings.DATA / "ansible"
    with scratch.private_folder(root / "scratch") as folder:
        text = yaml.safe_dump(collecting.play(watch, patterns), sort_keys=False)
        scratch.put(folder / "project" / "collect.yml", text)
        key = template.open_secrets(setup["ssh_key"], work.secrets)
        key_file = scratch.put_key(folder, key) if key else folder / "none"
        scratch.put_many(folder, _inventory(setup, hosts, key_file))
        ssh_args = launch.ssh_arguments_of_many(
            folder, _named(setup, work.limit), root / "known_hosts", accept_new=setup["accept_new"]
        )
        options = [each for each in _options(setup, work.limit, False) if each != "--diff"]
        code = launch.launch(folder, "collect.yml", options, ssh_args=ssh_args, seconds=float(setup["timeout_seconds"]))
        reading = per_host.Reading(folder / "artifacts" / "run")
        reading.news()
        told = per_host.by_host(reading.events(), work.limit)
        results = per_host.results(reading.events(), work.limit, hide)
        wrong = {each.name: each.message for each in results if each.state not in ("ok", "changed")}
        found = {name: collecting.content(each, hide) for name, each in told.items() if name not in wrong}
        return found, wrong, "" if results else _problem(code, results, folder, setup, hide)


def allowed(folder: str) -> Path:
    """The folder, when it lies in one of the roots an administrator named, links followed; raises Invalid."""
    roots = [Path(each).resolve() for each in settings_store.get(ROOTS)]
    path = Path(folder)
    real = path.resolve()
    if not path.is_absolute() or not any(real == root or root in real.parents for root in roots):
        raise Invalid(
            "playbook.outside",
            _("The folder does not lie in one that is allowed."),
            field="folder",
            value=folder,
            remedy=_("Allowed are: %(roots)s. An administrator changes the setting %(setting)s.")
            % {"roots": ", ".join(map(str, roots)) or "-", "setting": ROOTS},
        )
    if not real.is_dir():
        raise Invalid("playbook.no_folder", _("There is no such folder."), field="folder", value=folder)
    return real


def _do(work: Work, check: bool, watch: Watch | None, hide: Hide) -> Outcome:
    setup = work.setup
    hosts = [_resolved(inventory.read(setup["hosts"][name])) for name in work.limit]
    key = template.open_secrets(setup["ssh_key"], work.secrets)
    variables = template.open_secrets(setup["extra_vars"], work.secrets)
    root = settings.DATA / "ansible"
    with scratch.private_folder(root / "scratch") as folder:
        digest = project.take(str(allowed(setup["folder"])), setup["playbook"], folder / "project")
        if digest != setup["tree_sha256"]:
            return Outcome(problem=_("The playbooks are not the ones that were checked; check again."))
        scratch.put_variables(folder, variables)
        key_file = scratch.put_key(folder, key) if key else folder / "none"
        scratch.put_many(folder, _inventory(setup, hosts, key_file))
        ssh_args = launch.ssh_arguments_of_many(
            folder, _named(setup, work.limit), root / "known_hosts", accept_new=setup["accept_new"]
        )
        reading = per_host.Reading(folder / "artifacts" / "run")

        def tick() -> None:
            if watch is not None and reading.news():
                watch(per_host.results(reading.events(), work.limit, hide))

        code = launch.launch(
            folder, setup["playbook"], _options(setup, work.limit, check), ssh_args=ssh_args,
            seconds=float(setup["timeout_seconds"]), tick=tick,
        )  # fmt: skip
        reading.news()
        found = per_host.results(reading.events(), work.limit, hide)
        return Outcome(found, _problem(code, found, folder, setup, hide))


def _named(setup: Mapping[str, Any], limit: Sequence[str]) -> list[Host]:
    """The hosts under the addresses they are known by, not those a name resolved to: keys are kept under them."""
    return [inventory.read(setup["hosts"][name]) for name in limit]


def _resolved(host: Host) -> tuple[Host, str]:
    """The host at the address that may be connected to, and the alias its key is looked up by."""
    alias = launch.alias_of(host)
    return (replace(host, address=permitted(host.address, host.port)[0]) if host.connection == "ssh" else host), alias


def _inventory(setup: Mapping[str, Any], hosts: Sequence[tuple[Host, str]], key_file: Path) -> dict[str, Any]:
    """All hosts of the project with what is known of them; only those of the limit with the way to them."""
    told = setup["inventory"]
    known = {name: {key: each for key, each in said.items() if key not in CONNECTS}
             for name, said in told["_meta"]["hostvars"].items()}  # fmt: skip
    for host, alias in hosts:
        own = known.setdefault(host.name, {})
        own |= inventory.group_vars([], host, str(key_file))["all"]["hosts"][host.name]
        if host.connection == "ssh":
            own["ansible_ssh_extra_args"] = f"-o HostKeyAlias={alias}"
    groups: dict[str, Any] = {
        name: {"hosts": {each: {} for each in said["hosts"]}}
        for name, said in told.items()
        if name not in ("_meta", "all") and isinstance(said, dict) and "hosts" in said
    }
    return {"all": {"hosts": known, "children": groups}}


def _options(setup: Mapping[str, Any], limit: Sequence[str], check: bool) -> list[str]:
    options = ["--diff", "--limit", ",".join(limit), "--forks", str(setup["forks"])]
    return [*options, *(["--check"] if check else []), *(["--become"] if setup["become"] else [])]


def _problem(code: int, found: Sequence[HostResult], folder: Path, setup: Mapping[str, Any], hide: Hide) -> str:
    """Why the whole failed; a host that failed or was not reached says so itself."""
    if code == keeper.TIME_OVER:
        return _("Stopped after %(seconds)s s.") % {"seconds": setup["timeout_seconds"]}
    if any(each.state in ("failed", "unreachable") for each in found):
        return ""
    if code != 0:
        said = events.tail(folder / "artifacts" / "run" / "stdout", hide) or events.tail(folder / "stderr", hide)
        return _("Ansible ended with code %(code)s: %(why)s") % {"code": code, "why": said[-500:]}
    return "" if found else _("The playbook has no play for these hosts.")


PLAYBOOKS = AnsiblePlaybooks()
