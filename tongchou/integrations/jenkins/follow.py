"""One build of one step: asked for at most once, followed to its end, stopped where the step says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from django.utils import timezone

from tongchou.changes import build_starts
from tongchou.changes.models_builds import BuildStart
from tongchou.changes.told import dig
from tongchou.integrations.jenkins.client import Jenkins, JenkinsError, job_path, rows, whole
from tongchou.runbooks.reasons import Reason

T = TypeVar("T")
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 1.0, 8.0
PATIENCE_SECONDS = 60.0  # with a server that restarts: what it denies or does not know then
SETTLE_SECONDS = 30.0  # after this a request that was lost on its way does not arrive any more
SENDS = 3
STOP_SECONDS = 15.0
BUILDS_SEARCHED = 200
LOG_BYTES = 65_536
LOG_LINES = 60
HEAD_BYTES = 1024

JOB_TREE = "fullName,buildable,nextBuildNumber,property[parameterDefinitions[name,type,choices]]"
QUEUE_TREE = "id,inQueueSince,why,cancelled,executable[number]"
BUILD_TREE = "number,result,building,timestamp,duration,queueId,actions[parameters[name,value]]"
FIND_TREE = f"allBuilds[number,queueId,actions[parameters[name,value]]]{{0,{BUILDS_SEARCHED}}}"
QUEUED_TREE = "items[id,actions[parameters[name,value]]]"


class StoppedError(Exception):
    """The step ends here; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.code)
        self.reason = reason


class LateError(Exception):
    """The step's time is over."""


class CancelledError(Exception):
    """The run was cancelled meanwhile."""


@dataclass(frozen=True)
class Job:
    """What a job says of itself: whether it can be built, its parameters by name with their type and choices."""

    buildable: bool
    parameters: Mapping[str, tuple[str, tuple[str, ...]]]

    @property
    def passwords(self) -> set[str]:
        """Parameters whose values are nobody's business."""
        return {name for name, (kind, _choices) in self.parameters.items() if "Password" in kind}


def read_job(told: Mapping[str, Any]) -> Job:
    """Read a job's own words. Pure."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for each in rows(told.get("property")):
        for one in rows(each.get("parameterDefinitions")):
            listed = one.get("choices")
            choices = tuple(str(choice) for choice in listed) if isinstance(listed, list) else ()
            found[str(one.get("name"))] = (str(one.get("type", "")), choices)
    return Job(told.get("buildable") is True, found)


def misfit(name: str, job: Job, given: Mapping[str, str | None]) -> Reason | None:
    """Return why a job cannot be started with these parameters, of which None is not known yet; None when it can."""
    if not job.buildable:
        return Reason("jenkins_not_buildable", {"job": name})
    unknown = sorted(set(given) - set(job.parameters))
    if unknown:
        return Reason("jenkins_parameter", {"job": name, "names": ", ".join(unknown)})
    for each, value in given.items():
        choices = job.parameters[each][1]
        if choices and value is not None and value not in choices:
            shown = ", ".join(choices)[:300]
            return Reason("jenkins_choice", {"job": name, "name": each, "choices": shown})
    return None


def parameters_of(thing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a build or an item of the queue; a password has no value there. Pure."""
    found: dict[str, Any] = {}
    for action in rows(thing.get("actions")):
        for each in rows(action.get("parameters")):
            found[str(each.get("name"))] = each.get("value")
    return found


@dataclass
class Work:
    """One try of a step. `parameters` are in clear, for the request only; `output` is what the journal keeps."""

    jenkins: Jenkins
    job: str
    row: BuildStart
    parameters: Mapping[str, str]
    key_parameter: str
    deadline: float
    cancelled: Callable[[], bool]
    output: dict[str, Any] = field(default_factory=dict)
    passwords: set[str] = field(default_factory=set)
    last_error: str = ""

    def __post_init__(self) -> None:
        self.path = job_path(self.job)

    @property
    def server(self) -> str:
        """The server's name."""
        return self.jenkins.place.name

    @property
    def what(self) -> str:
        """What is waited for, in words that are the same in every language."""
        if self.row.number is not None:
            return f"{self.job} #{self.row.number}"
        return f"{self.job} (queue {self.row.queue_id})" if self.row.queue_id is not None else self.job

    # --- asking

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer; a server that is away is waited for as long as the step may take.

        Raises JenkinsError "absent" at once, StoppedError when it stays definite, LateError, CancelledError.
        """
        began, pause = time.monotonic(), FIRST_POLL_SECONDS
        while True:
            self._in_time()
            try:
                found = ask()
            except JenkinsError as error:
                if error.kind == "absent":
                    raise
                definite = error.kind in ("denied", "answered") and time.monotonic() - began > PATIENCE_SECONDS
                if error.kind == "refused" or definite:
                    raise StoppedError(self.failed(error)) from error
                self.last_error = error.why
            else:
                self.last_error = ""
                return found
            pause = self._sleep(pause)

    def failed(self, error: JenkinsError) -> Reason:
        """The reason of an answer that cannot be used."""
        return Reason("jenkins_failed", {"server": self.server, "reason": error.reason, "why": error.why})

    def _in_time(self) -> None:
        if self.cancelled():
            raise CancelledError
        if time.monotonic() >= self.deadline:
            raise LateError

    def _sleep(self, pause: float) -> float:
        time.sleep(max(0.0, min(pause, self.deadline - time.monotonic())))
        return min(pause * 1.5, LAST_POLL_SECONDS)

    # --- starting

    def start(self) -> None:
        """Have the build asked for, once: what an earlier try asked for is found again, or the step ends in doubt."""
        for _send in range(SENDS):
            if self.row.queue_id is not None or self.row.number is not None:
                return
            if self.row.sent_at is not None and self._found():
                return
            self._send_it()
        if self.row.queue_id is None:
            raise StoppedError(self._doubt())

    def _send_it(self) -> None:
        try:
            job = read_job(self.jenkins.get(self.path, JOB_TREE))
            self.passwords |= job.passwords
            why = misfit(self.job, job, self.parameters)
            if why is not None:
                raise StoppedError(why)
            keyed = self.key_parameter in job.parameters and self.key_parameter not in self.parameters
            form = dict(self.parameters) | ({self.key_parameter: self.row.key} if keyed else {})
            if not build_starts.sending(self.row, keyed=keyed):
                return
            queue_id = self.jenkins.start(self.path, form if job.parameters else None)
        except JenkinsError as error:
            if self.row.sent_at is None or error.kind != "unknown":
                build_starts.not_sent(self.row)
                raise StoppedError(self.failed(error)) from error
            self.last_error = error.why
            return
        build_starts.queued(self.row, queue_id)

    def _found(self) -> bool:
        """Whether the build of an earlier request is there. It is looked for until that can no longer be on its way."""
        if not self.row.keyed or self.row.sent_at is None:
            raise StoppedError(self._doubt())
        settled = self.row.sent_at + timedelta(seconds=SETTLE_SECONDS)
        pause = FIRST_POLL_SECONDS
        while True:
            last_look = timezone.now() >= settled
            if self._look_for_key():
                return True
            if last_look:
                return False
            self._in_time()
            pause = self._sleep(pause)

    def _look_for_key(self) -> bool:
        """First the queue, then the builds: what leaves the one comes into the other."""
        queue = self.patiently(lambda: self.jenkins.get("/queue", QUEUED_TREE))
        for item in rows(queue.get("items")):
            queue_id = whole(item.get("id"))
            if queue_id is not None and parameters_of(item).get(self.key_parameter) == self.row.key:
                build_starts.queued(self.row, queue_id)
                return True
        return self._look_in_builds(lambda build: parameters_of(build).get(self.key_parameter) == self.row.key)

    def _look_in_builds(self, fits: Callable[[Mapping[str, Any]], bool]) -> bool:
        try:
            told = self.patiently(lambda: self.jenkins.get(self.path, FIND_TREE))
        except JenkinsError:
            return False
        for build in rows(told.get("allBuilds")):
            number = whole(build.get("number"))
            if number is not None and fits(build):
                build_starts.numbered(self.row, number)
                return True
        return False

    def _doubt(self) -> Reason:
        why = self.last_error or "the step was cut off while it asked"
        words = {"server": self.server, "job": self.job, "why": why, "parameter": self.key_parameter}
        return Reason("jenkins_in_doubt", words)

    # --- following

    def wait_for_number(self) -> int:
        """Wait in the queue; returns the number of the build. What left the queue long ago is found by its id."""
        pause, missing_since = FIRST_POLL_SECONDS, None
        while self.row.number is None:
            try:
                item = self.patiently(lambda: self.jenkins.get(f"/queue/item/{self.row.queue_id}", QUEUE_TREE))
            except JenkinsError:
                if self._look_in_builds(lambda build: build.get("queueId") == self.row.queue_id):
                    break
                missing_since = missing_since or time.monotonic()
                if time.monotonic() - missing_since > PATIENCE_SECONDS:
                    raise StoppedError(Reason("jenkins_lost", {"server": self.server, "what": self.what})) from None
            else:
                missing_since = None
                self.output["queued_at"] = whole(item.get("inQueueSince"))
                if item.get("why"):
                    self.output["waits_for"] = str(item["why"])[:200]
                number = whole(dig(item, "executable", "number"))
                if number is not None:
                    build_starts.numbered(self.row, number)
                    break
                if item.get("cancelled") is True:
                    raise StoppedError(Reason("jenkins_dequeued", {"server": self.server, "job": self.job}))
            self._in_time()
            pause = self._sleep(pause)
        if self.row.number is None:
            raise StoppedError(Reason("jenkins_lost", {"server": self.server, "what": self.what}))
        return self.row.number

    def wait_for_end(self, number: int) -> Mapping[str, Any]:
        """Wait for the end of the build and return what it says of itself then."""
        pause, missing_since = FIRST_POLL_SECONDS, None
        while True:
            try:
                build: Mapping[str, Any] = self.patiently(lambda: self.jenkins.get(f"{self.path}/{number}", BUILD_TREE))
            except JenkinsError:
                missing_since = missing_since or time.monotonic()
                if time.monotonic() - missing_since > PATIENCE_SECONDS:
                    raise StoppedError(Reason("jenkins_lost", {"server": self.server, "what": self.what})) from None
            else:
                missing_since = None
                if build.get("building") is False and build.get("result"):
                    return build
            self._in_time()
            pause = self._sleep(pause)

    def stop(self) -> bool:
        """Take it out of the queue, or stop the build; whether it is over a few seconds later."""
        self.deadline = self.jenkins.deadline = time.monotonic() + STOP_SECONDS
        self.cancelled = lambda: False
        try:
            if self.row.number is None and self.row.queue_id is not None:
                self.patiently(lambda: self.jenkins.stop(f"/queue/cancelItem?id={self.row.queue_id}"))
                try:
                    self.wait_for_number()
                except StoppedError as stopped:
                    return stopped.reason.code == "jenkins_dequeued"
            if self.row.number is None:
                return False
            number = self.row.number
            self.patiently(lambda: self.jenkins.stop(f"{self.path}/{number}/stop"))
            self.wait_for_end(number)
        except (LateError, StoppedError, JenkinsError):
            return False
        return True

    def log(self, number: int, *, ended: bool) -> str:
        """Return the last lines of the log; empty when it cannot be read. Never more than LOG_BYTES are fetched of it.

        Of a build that has ended the last lines may still be on their way.
        """
        path = f"{self.path}/{number}"
        try:
            for _look in range(3 if ended else 1):
                body, size, more = self.jenkins.log_from(path, 0, HEAD_BYTES)
                start = max(0, size - LOG_BYTES)
                if size > len(body):
                    body, _size, more = self.jenkins.log_from(path, start, LOG_BYTES)
                if not more:
                    break
                time.sleep(FIRST_POLL_SECONDS)
        except JenkinsError:
            return ""
        text = body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\x00", "\ufffd")
        return "\n".join(text.splitlines()[-LOG_LINES:])
