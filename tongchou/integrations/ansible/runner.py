"""Does one ansible step: in check mode to show what it would change, for real once that was approved."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.utils.translation import gettext as _

from tongchou.core import settings_store
from tongchou.core.http import Failed, Refused, permitted
from tongchou.integrations.ansible import events, inline, inventory, keeper, launch, project, scratch
from tongchou.integrations.ansible.events import Story
from tongchou.integrations.ansible.inventory import Host
from tongchou.integrations.ansible.run_time_settings import LOCAL, PROJECT
from tongchou.runbooks import template
from tongchou.runbooks.mask import MASK, mask, masker
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult
from tongchou.runbooks.reasons import Reason, in_both_languages

GROUP = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
SETTABLE = ("ansible_become_password", "ansible_become_pass")
MIN_LINE = 6  # characters of a line of a secret that is masked by itself


class AnsibleStep:
    """Satisfies runbooks.Runner, Previewer and Completer."""

    kind = "ansible"
    fields: ClassVar[Mapping[str, Field]] = {
        "playbook": Field("string", pattern=project.NAME),
        "tasks": Field("list", least=1, most=100),
        "groups": Field("list", most=20),
        "become": Field("boolean", default=False),
        "gather_facts": Field("boolean", default=False),
        "extra_vars": Field("mapping", default={}, secret=True),
        "ssh_key": Field("string", secret=True),
        "accept_new": Field("boolean", default=False),
        "check_only": Field("boolean", default=False),
        "idempotent": Field("boolean", default=False),
        "forks": Field("integer", default=5, least=1, most=50),
        "timeout_seconds": Field("number", default=300.0, least=5, most=3600),
    }

    def alters(self, step: Mapping[str, Any]) -> bool:
        """All but a step that only checks."""
        return not step.get("check_only", False)

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """Only what says so: a playbook cut off in the middle may have done anything."""
        return bool(step.get("idempotent", False) or step.get("check_only", False))

    def complete(self, step: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add where the step goes and the hash of the playbooks, so that an approval covers both."""
        out = dict(step)
        if target:
            out["inventory"] = inventory.from_target(target)
        if "playbook" in step:
            try:
                out["project_sha256"] = project.take(settings_store.get(PROJECT), step["playbook"])
            except project.ProjectError:
                pass  # validate says why
        return out

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a completed step; whether the host answers only the preview and the run find out."""
        out = []
        if not launch.installed():
            out.append(str(_missing()))
        if ("playbook" in step) == ("tasks" in step):
            out.append(_("An ansible step has either playbook or tasks."))
        if "tasks" in step:
            out += inline.problems(step["tasks"])
        for name in step["extra_vars"]:
            if str(name).startswith("ansible_") and name not in SETTABLE:
                out.append(_("%(at)s: %(key)s may not be set here.") % {"at": "extra_vars", "key": name})
        for name in step.get("groups", []):
            if not isinstance(name, str) or not re.fullmatch(GROUP, name):
                out.append(_("%(name)s is not the name of a group.") % {"name": name})
        if "inventory" not in step:
            return [*out, _("An ansible step needs a target.")]
        host = inventory.read(step["inventory"])
        known = {"accept_new": step["accept_new"], "ssh_key": "ssh_key" in step}
        out += inventory.problems(host, local=settings_store.get(LOCAL), **known)
        if "playbook" in step and "project_sha256" not in step:
            try:
                project.take(settings_store.get(PROJECT), step["playbook"])
            except project.ProjectError as error:
                out.append(str(error))
        return out

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The step's own time, and the time to end what is left then."""
        return float(step["timeout_seconds"]) + launch.MARGIN_SECONDS + keeper.GRACE_SECONDS

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """`--check --diff`. A task that fails in check mode refuses nothing: it may need an earlier step."""
        result = _masked(_do(call.input, context, check=True, approved=False), context)
        if result.reason is not None and result.reason.code == "ansible_failed":
            failed = result.reason
            says = in_both_languages(lambda: _("In check mode: %(why)s") % {"why": failed})
            return StepResult({**result.output, "failed_in_check": True, "says": says})
        return result

    def run(self, call: StepCall, context: Context) -> StepResult:
        """The playbook for real, unless the step only checks."""
        return _masked(_do(call.input, context, check=bool(call.input["check_only"])), context)


def _missing() -> Reason:
    return Reason("ansible_missing", {"path": str(launch.tool())})


def _masked(result: StepResult, context: Context) -> StepResult:
    """Without any secret, and without any line of one: in a diff each line of a key stands by itself."""
    lines = (line.strip() for secret in context.secrets.values() for line in secret.splitlines())
    hidden = [*context.secrets.values(), *(line for line in lines if len(line) >= MIN_LINE)]
    reason = result.reason and Reason(result.reason.code, mask(dict(result.reason.params), hidden))
    return StepResult(mask(dict(result.output), hidden), reason)


def _refused(why: str) -> StepResult:
    return StepResult(reason=Reason("ansible_refused", {"why": why}))


def _variables(step: Mapping[str, Any], secrets: Mapping[str, str], *, approved: bool) -> dict[str, Any]:
    """The extra variables; before the approval, tasks of a step see none of their secrets.

    A template could spell one out backwards, a module that works in check mode could send it away.
    """
    blank = secrets if approved or "tasks" not in step else dict.fromkeys(secrets, MASK)
    opened = {name: secrets if name in SETTABLE else blank for name in step["extra_vars"]}
    return {name: template.open_secrets(value, opened[name]) for name, value in step["extra_vars"].items()}


def _do(step: Mapping[str, Any], context: Context, *, check: bool, approved: bool = True) -> StepResult:
    problems = ANSIBLE_STEP.validate(ANSIBLE_STEP.kind, step)
    if not launch.installed():
        return StepResult(reason=_missing())
    if problems:
        return _refused(problems[0])
    host = inventory.read(step["inventory"])
    try:
        if host.connection == "ssh":
            host = replace(host, address=permitted(host.address, host.port)[0])
        variables = _variables(step, context.secrets, approved=approved)
        key = template.open_secrets(step.get("ssh_key", ""), context.secrets)
    except (Refused, Failed) as error:
        return _refused(error.detail)
    except template.TemplateError as error:
        return _refused(str(error.says))
    root = settings.DATA / "ansible"
    with scratch.private_folder(root / "scratch") as folder:
        try:
            playbook, later = _playbook(step, folder, approved=approved)
        except project.ProjectError as error:
            return _refused(str(error))
        if not playbook:
            return StepResult(reason=Reason("ansible_altered"))
        scratch.put_variables(folder, variables)
        key_file = scratch.put_key(folder, key) if key else folder / "none"
        scratch.put_inventory(folder, inventory.group_vars(step.get("groups", []), host, str(key_file)))
        named = replace(host, address=inventory.read(step["inventory"]).address)
        known = root / "known_hosts"
        ssh_args = launch.ssh_arguments(folder, named, known, accept_new=step["accept_new"])
        began = time.monotonic()
        code = launch.launch(
            folder, playbook, _options(step, host, check=check), ssh_args=ssh_args, seconds=step["timeout_seconds"]
        )
        hide = masker(context.secrets.values())
        story = events.tell(events.from_folder(folder / "artifacts" / "run"), hide)
        said = story.said or events.tail(folder / "artifacts" / "run" / "stdout", hide)
        said = said or events.tail(folder / "stderr", hide)
    spent = round(time.monotonic() - began, 3)
    left = {"after_approval": later} if later else {}
    output = {**story.as_json(), **left, "check": check, "seconds": spent, "says": in_both_languages(story.line)}
    return StepResult(output, _judge(code, story, said, step["timeout_seconds"]))


def _playbook(step: Mapping[str, Any], folder: Path, *, approved: bool) -> tuple[str, list[str]]:
    """The playbook's name in the folder, empty when the project is not the approved one; what is not run yet."""
    if "tasks" in step:
        tasks, later = (step["tasks"], []) if approved else inline.before_approval(step["tasks"])
        return scratch.put_tasks(folder, tasks, gather_facts=step["gather_facts"]), later
    digest = project.take(settings_store.get(PROJECT), step["playbook"], folder / "project")
    return (str(step["playbook"]) if digest == step.get("project_sha256") else ""), []


def _options(step: Mapping[str, Any], host: Host, *, check: bool) -> list[str]:
    """Options of ansible-playbook. The limit keeps plays for `localhost` from the platform's own host."""
    options = ["--diff", "--limit", host.name, "--forks", str(step["forks"])]
    return [*options, *(["--check"] if check else []), *(["--become"] if step["become"] else [])]


def _judge(code: int, story: Story, said: str, seconds: float) -> Reason | None:
    if code == keeper.TIME_OVER:
        return Reason("ansible_timeout", {"seconds": f"{seconds:g}"})
    for status in ("unreachable", "failed"):
        hosts = story.failing(status)
        if hosts and code != 0:
            why = story.problems.get(hosts[0], "")
            return Reason(f"ansible_{status}", {"hosts": ", ".join(hosts), "why": why})
    if code != 0:
        return Reason("ansible_broken", {"code": code, "why": said[-500:]})
    return None if story.hosts else Reason("ansible_no_host")


ANSIBLE_STEP = AnsibleStep()
