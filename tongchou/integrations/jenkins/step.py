"""A step of kind `jenkins`: a job of a configured server, started once and followed to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.changes import build_reads, build_starts
from tongchou.changes.build_ports import Place
from tongchou.changes.models_builds import BuildServerKind, BuildStart
from tongchou.core.problems import Problem
from tongchou.integrations.jenkins.client import Jenkins, JenkinsError, is_job, job_path, whole
from tongchou.integrations.jenkins.follow import (
    JOB_TREE,
    LOG_BYTES,
    STOP_SECONDS,
    CancelledError,
    LateError,
    StoppedError,
    Work,
    misfit,
    parameters_of,
    read_job,
)
from tongchou.runbooks import template
from tongchou.runbooks.mask import MASK, mask
from tongchou.runbooks.models import Run, RunState
from tongchou.runbooks.ports import Context, Field, StepCall, StepResult
from tongchou.runbooks.reasons import Reason, in_both_languages

LOG_SECONDS = 20.0
LEAST_SECONDS = 15.0  # of a step that is tried again after its time: enough to see how the build ended
PREVIEW_SECONDS = 20.0
MAX_PARAMETERS = 200


class JenkinsStep:
    """Satisfies runbooks.Runner, Previewer and Completer."""

    kind = "jenkins"
    fields: ClassVar[Mapping[str, Field]] = {
        "server": Field("string", required=True, pattern="[a-z0-9][a-z0-9-]{0,48}"),
        "job": Field("string", required=True, most=500, template=True),
        "parameters": Field("mapping", default={}, most=MAX_PARAMETERS, secret=True),
        "expect": Field("choice", choices=("SUCCESS", "UNSTABLE"), default="SUCCESS"),
        "key_parameter": Field("string", default="TONGCHOU_KEY", pattern="[A-Za-z_][A-Za-z0-9_.-]{0,99}"),
        "stop_on_timeout": Field("boolean", default=False),
        "timeout_seconds": Field("number", default=900.0, least=5, most=3600),
    }

    def alters(self, step: Mapping[str, Any]) -> bool:
        """Always: nobody here knows what a job does."""
        return True

    def repeatable(self, step: Mapping[str, Any]) -> bool:
        """It goes on with the build that was started, or ends in doubt; it never starts a second one."""
        return True

    def complete(self, step: Mapping[str, Any], target: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add the server's address, so that an approval covers where the job runs."""
        row = build_reads.usable(str(step["server"]), BuildServerKind.JENKINS)
        return {**step, "url": row.url} if row is not None else step

    def validate(self, kind: str, step: Mapping[str, Any]) -> Sequence[str]:
        """Say what is wrong with a resolved step; whether the job exists only the preview and the run find out."""
        out = []
        if "url" not in step:
            out.append(str(Reason("jenkins_server", {"server": step["server"]})))
        if not is_job(step["job"]):
            out.append(_("job is the full name of a job, such as shop/orders."))
        if not all(isinstance(value, str | int | float | bool) for value in step["parameters"].values()):
            out.append(_("parameters holds texts, numbers, true and false only."))
        return out

    def timeout_seconds(self, step: Mapping[str, Any]) -> float:
        """The step's own time, and the time to stop the build and to read its log."""
        return float(step["timeout_seconds"]) + LEAST_SECONDS + STOP_SECONDS + LOG_SECONDS

    def preview(self, call: StepCall, context: Context) -> StepResult:
        """Whether the job is there and takes these parameters, and which build it would be."""
        step = call.input
        try:
            place = _place(step)
            jenkins = Jenkins(place, time.monotonic() + PREVIEW_SECONDS)
            told = jenkins.get(job_path(step["job"]), JOB_TREE)
        except StoppedError as stopped:
            return StepResult(reason=stopped.reason)
        except JenkinsError as error:
            words = {"server": step["server"], "reason": error.reason, "why": error.why}
            return StepResult(reason=Reason("jenkins_failed", words))
        job = read_job(told)
        why = misfit(step["job"], job, _known(step["parameters"]))
        if why is not None:
            return StepResult(reason=why)
        keyed = step["key_parameter"] in job.parameters
        shown = {name: MASK if name in job.passwords else value for name, value in step["parameters"].items()}

        def says() -> str:
            words = {"job": step["job"], "number": told.get("nextBuildNumber"), "server": step["server"]}
            return _("%(job)s would be built on %(server)s, probably as #%(number)s.") % words

        output = {"url": _url(place, step["job"]), "parameters": shown, "found_by_key": keyed, "changes": True}
        return StepResult({**output, "says": in_both_languages(says)})

    def run(self, call: StepCall, context: Context) -> StepResult:
        """Start the job, or go on with what an earlier try started, and say how it ended."""
        step = call.input
        try:
            place = _place(step)
            parameters = _texts(template.open_secrets(step["parameters"], context.secrets))
        except StoppedError as stopped:
            return StepResult(reason=stopped.reason)
        except template.TemplateError as error:
            return StepResult(reason=Reason("step_broken", {"why": str(error.says)}))
        row = build_starts.begin(key=call.idempotency_key, server=place.name, job=step["job"])
        deadline = time.monotonic() + _left(row, float(step["timeout_seconds"]))
        work = Work(
            Jenkins(place, deadline),
            row.job,
            row,
            parameters,
            step["key_parameter"],
            deadline,
            lambda: _is_cancelled(call.idempotency_key),
        )
        reason = _done(work, step)
        hidden = [place.token, *(parameters[name] for name in work.passwords if name in parameters)]
        output = mask(_output(work), [each for each in hidden if each])
        build_starts.over(row)
        return StepResult(output, reason and Reason(reason.code, mask(dict(reason.params), hidden)))


def _place(step: Mapping[str, Any]) -> Place:
    """How the step's server is asked; stops the step when that is not what was resolved."""
    row = build_reads.usable(step["server"], BuildServerKind.JENKINS)
    if row is None:
        raise StoppedError(Reason("jenkins_server", {"server": step["server"]}))
    if row.url != step.get("url"):
        raise StoppedError(Reason("jenkins_moved", {"server": step["server"]}))
    try:
        return build_reads.place_of(row)
    except Problem as problem:
        raise StoppedError(Reason("step_broken", {"why": str(problem.detail)})) from problem


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as a form sends them: true and false in small letters, numbers in their shortest form."""
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _known(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Parameters before their secrets are opened: None stands for what holds one."""
    hidden = {name for name, value in values.items() if next(template.names(value), None) is not None}
    plain = _texts(template.open_secrets({name: values[name] for name in values if name not in hidden}, {}))
    return {**plain, **dict.fromkeys(hidden)}


def _left(row: BuildStart, seconds: float) -> float:
    """The time a try has: what one that was cut off left of it, and never too little to see how the build ended."""
    spent = 0.0 if row.begun_at is None else (timezone.now() - row.begun_at).total_seconds()
    return max(min(LEAST_SECONDS, seconds), seconds - spent)


def _is_cancelled(key: str) -> bool:
    try:
        run_id = UUID(key.partition(":")[0])
    except ValueError:
        return False
    return Run.objects.filter(pk=run_id, state=RunState.CANCELLED).exists()


def _done(work: Work, step: Mapping[str, Any]) -> Reason | None:
    """Do it all; why it failed, None when it did not."""
    try:
        work.start()
        number = work.wait_for_number()
        return _judge(work, work.wait_for_end(number), step)
    except StoppedError as stopped:
        return stopped.reason
    except LateError:
        words = {"what": work.what, "seconds": f"{step['timeout_seconds']:g}", "why": work.last_error}
        if not step["stop_on_timeout"]:
            return Reason("jenkins_left", words)
        return Reason("jenkins_stopped" if work.stop() else "jenkins_not_stopped", words)
    except CancelledError:
        stopped_it = step["stop_on_timeout"] and work.stop()
        return Reason("jenkins_cancelled" if stopped_it else "jenkins_cancelled_left", {"what": work.what})
    except JenkinsError as error:
        return work.failed(error)


def _judge(work: Work, build: Mapping[str, Any], step: Mapping[str, Any]) -> Reason | None:
    result = str(build.get("result"))
    given = parameters_of(build)
    queued, began = work.output.pop("queued_at", None), whole(build.get("timestamp"))
    waited = (began - queued) / 1000 if began is not None and queued is not None else None
    work.output |= {
        "result": result,
        "duration_seconds": (whole(build.get("duration")) or 0) / 1000,
        "queue_seconds": None if waited is None else max(0.0, round(waited, 3)),
        "parameters": {
            name: MASK if value is None or name in work.passwords else value for name, value in given.items()
        },
    }
    work.passwords |= {name for name, value in given.items() if value is None}
    accepted = ("SUCCESS", "UNSTABLE") if step["expect"] == "UNSTABLE" else ("SUCCESS",)
    if result in accepted:
        return None
    words = {"job": work.job, "number": work.row.number, "result": result, "expected": " | ".join(accepted)}
    return Reason("jenkins_result", words)


def _output(work: Work) -> dict[str, Any]:
    kept = {key: value for key, value in work.output.items() if key not in ("queued_at", "waits_for")}
    found = {"server": work.server, "job": work.job, "queue_id": work.row.queue_id, "number": work.row.number, **kept}
    if work.row.number is None:
        return found | {"waits_for": work.output.get("waits_for", "")}
    work.jenkins.deadline = time.monotonic() + LOG_SECONDS
    log = work.log(work.row.number, ended="result" in kept)[-LOG_BYTES:]
    return found | {"url": f"{_url(work.jenkins.place, work.job)}{work.row.number}/", "log": log}


def _url(place: Place, job: str) -> str:
    return f"{place.url}{job_path(job)}/"


JENKINS_STEP = JenkinsStep()
