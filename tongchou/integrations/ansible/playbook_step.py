"""A step of kind `playbook`: one batch of a project's hosts. Projects write such procedures; people do not need to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import ngettext

from tongchou.changes import playbook, playbook_runs
from tongchou.changes.playbook_ports import HostResult, Work
from tongchou.core.problems import Problem
from tongchou.integrations.ansible import keeper, launch
from tongchou.integrations.ansible.playbooks import PLAYBOOKS
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult
from tongchou.runbooks.reasons import Reason, in_both_languages


class PlaybookStep:
    """Satisfies runbooks.Runner, Previewer and Whole."""

    kind = "playbook"
    whole = True
    fields: ClassVar[Mapping[str, Field]] = {
        "check": Field("string", required=True, pattern=r"[0-9a-f-]{36}"),
        "content_sha256": Field("string", required=True, pattern=r"[0-9a-f]{64}"),
        "batch": Field("integer", required=True, least=1, most=playbook.MOST_BATCHES),
        "hosts": Field("list", required=True, least=1, most=playbook.MAX_HOSTS),
        "max_fail_percent": Field("integer", default=0, least=0, most=100),
        "idempotent": Field("boolean", default=False),
        "extra_vars": Field("mapping", default={}, secret=True),
        "ssh_key": Field("string", secret=True),
        "timeout_seconds": Field("number", default=900.0, least=5, most=3600),
    }

    def alters(self, step: Mapping[str, Any]) -> bool:
        """Always: a check is not a step."""
        return True

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """Only what says so: a batch that was cut off in the middle may have done anything."""
        return bool(step.get("idempotent", False))

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say whether the step is what its check found, to the letter."""
        return playbook_runs.problems(step)

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The step's own time, and the time to end what is left then."""
        return float(step["timeout_seconds"]) + launch.MARGIN_SECONDS + keeper.GRACE_SECONDS

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """What the check showed of these hosts: nothing is asked anew, so that what is approved is what was read."""
        wrong = playbook_runs.problems(call.input)
        if wrong:
            return _refused(wrong[0])
        shown = playbook_runs.shown(call.input)
        changing = sum(1 for each in shown if each.state == "changed")

        def says() -> str:
            words = ngettext("%(n)d of %(all)d host would change.", "%(n)d of %(all)d hosts would change.", len(shown))
            return words % {"n": changing, "all": len(shown)}

        diff = "\n".join(f"# {each.name}\n{each.diff}" for each in shown if each.diff)
        hosts = {each.name: {"state": each.state, **each.counts} for each in shown}
        return StepResult({"hosts": hosts, "changes": bool(changing), "diff": diff, "says": in_both_languages(says)})

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Run the batch; hosts that an earlier try finished are left alone."""
        wrong = playbook_runs.problems(call.input)
        if wrong:
            return _refused(wrong[0])
        run_id, step = UUID(call.idempotency_key.partition(":")[0]), call.input
        todo = playbook_runs.begin(run_id=run_id, step=step)
        began = time.monotonic()
        results: Sequence[HostResult] = ()
        problem = ""
        if todo:
            work = Work(playbook_runs.setup(step), todo, context.secrets)
            try:
                outcome = PLAYBOOKS.do(
                    work, check=False, watch=lambda seen: playbook_runs.note(run_id=run_id, results=seen)
                )
                results, problem = outcome.hosts, outcome.problem
            except Problem as refused:
                problem = str(refused.detail)
            playbook_runs.finish(run_id=run_id, step=step, todo=todo, results=results, problem=problem)
        output = _output(run_id, step, round(time.monotonic() - began, 3))
        if problem:
            return StepResult(output, Reason("ansible_refused", {"why": problem}))
        failed = playbook.failed_beyond(results, len(step["hosts"]), step["max_fail_percent"])
        if failed:
            why = next((each.message for each in results if each.name == failed[0]), "")
            return StepResult(output, Reason("ansible_failed", {"hosts": ", ".join(failed), "why": why}))
        return StepResult(output)


def _output(run_id: UUID, step: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    rows = playbook_runs.rows(run_id, step)
    says = in_both_languages(lambda: "; ".join(f"{row.name}: {row.get_state_display()}" for row in rows))
    hosts = {row.name: {"state": row.state, **row.counts} for row in rows}
    diff = "\n".join(f"# {row.name}\n{row.diff}" for row in rows if row.diff)
    return {"hosts": hosts, "changes": any(row.state == "changed" for row in rows), "diff": diff, "seconds": seconds,
            "says": says}  # fmt: skip


def _refused(why: str) -> StepResult:
    return StepResult(reason=Reason("ansible_refused", {"why": why}))


PLAYBOOK_STEP = PlaybookStep()
