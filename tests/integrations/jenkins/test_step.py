"""A jenkins step against a server that behaves like one: one build, followed to its end, whatever happens on the way."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.integrations.jenkins.conftest import TOKEN, Do
from tests.integrations.jenkins.stub import Jenkins, Job
from tongchou.changes import build_actions, build_starts
from tongchou.changes.build_actions import ServerWanted
from tongchou.changes.models_builds import BuildServer, BuildStart
from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.core.registry import implementations
from tongchou.integrations.jenkins import follow
from tongchou.integrations.jenkins.step import JENKINS_STEP
from tongchou.runbooks.mask import MASK
from tongchou.runbooks.ports import Completer, Context, Previewer, Runner, StepCall, StepResult

pytestmark = pytest.mark.django_db(transaction=True)


def code(result: StepResult) -> str | None:
    return result.reason.code if result.reason else None


def in_a_while(seconds: float, do: object) -> threading.Thread:
    thread = threading.Thread(target=lambda: (time.sleep(seconds), do()), daemon=True)  # type: ignore[operator]  # a callable
    thread.start()
    return thread


def test_it_is_found_as_a_runner_that_can_preview_and_complete() -> None:
    for port in (Runner, Previewer, Completer):
        assert JENKINS_STEP in implementations(port)  # type: ignore[type-abstract]  # a Protocol is what it looks for


def test_starts_a_job_in_a_folder_and_follows_it_to_its_end(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["shop/orders deploy"] = Job(
        {"VERSION": "String", "DRY": "Boolean"}, log="one\ntwo\nFinished: SUCCESS\n"
    )
    result = do("shop/orders deploy", parameters={"VERSION": "1.4.2", "DRY": True})
    assert result.reason is None
    output = result.output
    assert (output["number"], output["result"], output["parameters"]) == (
        1,
        "SUCCESS",
        {"VERSION": "1.4.2", "DRY": "true"},
    )
    assert output["url"] == f"{jenkins.url}/job/shop/job/orders%20deploy/1/"
    assert output["log"].splitlines()[-1] == "Finished: SUCCESS"
    assert output["duration_seconds"] == pytest.approx(0.3, abs=0.1)
    assert 0.05 <= output["queue_seconds"] < 2
    assert jenkins.posts("/buildWithParameters") == 1


def test_a_job_without_parameters_is_built_plainly(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job()
    assert do().reason is None
    assert (jenkins.posts("/build"), jenkins.posts("/buildWithParameters")) == (1, 0)


@pytest.mark.parametrize(
    ("result", "expect", "wanted"),
    [
        ("FAILURE", "SUCCESS", "jenkins_result"),
        ("UNSTABLE", "SUCCESS", "jenkins_result"),
        ("UNSTABLE", "UNSTABLE", None),
        ("SUCCESS", "UNSTABLE", None),
        ("ABORTED", "UNSTABLE", "jenkins_result"),
        ("NOT_BUILT", "SUCCESS", "jenkins_result"),
    ],
)
def test_what_it_ended_with_decides(jenkins: Jenkins, do: Do, result: str, expect: str, wanted: str | None) -> None:
    jenkins.jobs["deploy"] = Job(result=result)
    done = do(expect=expect)
    assert (code(done), done.output["result"]) == (wanted, result)


def test_taken_out_of_the_queue(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(quiet=30)

    def cancel() -> None:
        for item in jenkins.items.values():
            item.cancelled = True

    in_a_while(0.3, cancel)
    result = do()
    assert code(result) == "jenkins_dequeued"
    assert result.output["waits_for"].startswith("In the quiet period")


def test_an_item_that_has_left_the_queue_long_ago_is_found_by_its_id(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=0.2)
    jenkins.forget = -1.0
    jenkins.build("deploy", seconds=0)
    result = do()
    assert (code(result), result.output["number"]) == (None, 2)


def test_a_build_that_vanishes_ends_the_step(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=30)

    def delete() -> None:
        jenkins.jobs["deploy"].builds[0].deleted = True

    in_a_while(0.6, delete)
    assert code(do()) == "jenkins_lost"


def test_a_server_that_restarts_in_the_middle_is_waited_for(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=2.0)
    in_a_while(0.5, jenkins.stop)
    back = in_a_while(1.6, jenkins.start)
    result = do()
    back.join()
    assert (code(result), result.output["result"]) == (None, "SUCCESS")
    assert jenkins.posts("/build") == 1


def test_a_server_that_says_503_while_it_starts_is_waited_for(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=0.6)
    in_a_while(0.3, lambda: jenkins.answers.extend([(503, b"Please wait while Jenkins is getting ready")] * 4))
    assert do().reason is None


# --- once


def test_a_step_tried_again_goes_on_with_its_build(jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after kill -9: the second try knows only what the first one wrote down."""
    jenkins.jobs["deploy"] = Job(seconds=0.8)

    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(follow.Work, "wait_for_number", die)
        with pytest.raises(KilledError):
            do()
    result = do()
    assert (code(result), result.output["number"]) == (None, 1)
    assert len(jenkins.jobs["deploy"].builds) == 1
    assert do().output["number"] == 1, "once it is over, too"
    assert do(key="run:1").output["number"] == 2, "another step is another build"


def cut_off(jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch, *, arrives: bool) -> None:
    """Killed between the request and its answer; it has arrived, or it has not."""

    class KilledError(BaseException):
        pass

    real = follow.Jenkins.start

    def dying(self: follow.Jenkins, path: str, form: dict[str, str] | None) -> int:
        if arrives:
            real(self, path, form)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(follow.Jenkins, "start", dying)
        with pytest.raises(KilledError):
            do()


@pytest.mark.parametrize("quiet", [0.0, 1.2], ids=["built", "queued"])
def test_cut_off_before_the_answer_it_is_found_by_its_key(
    jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch, quiet: float
) -> None:
    jenkins.jobs["deploy"] = Job({"TONGCHOU_KEY": "String"}, quiet=quiet)
    jenkins.build("deploy", [{"name": "TONGCHOU_KEY", "value": "another"}], seconds=0)
    cut_off(jenkins, do, monkeypatch, arrives=True)
    result = do()
    assert (code(result), result.output["number"]) == (None, 2)
    assert result.output["parameters"] == {"TONGCHOU_KEY": "run:0"}
    assert jenkins.posts("/buildWithParameters") == 1


def test_cut_off_and_never_arrived_it_is_sent_once_that_is_certain(
    jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    jenkins.jobs["deploy"] = Job({"TONGCHOU_KEY": "String"})
    cut_off(jenkins, do, monkeypatch, arrives=False)
    sent_at = BuildStart.objects.get().sent_at
    assert sent_at is not None
    result = do()
    assert (code(result), len(jenkins.jobs["deploy"].builds)) == (None, 1)
    build = jenkins.jobs["deploy"].builds[0]
    assert build.began >= sent_at.timestamp() + follow.SETTLE_SECONDS, "not while the first could still be on its way"


def test_cut_off_without_a_key_nobody_knows_and_nothing_is_sent(
    jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    jenkins.jobs["deploy"] = Job()
    cut_off(jenkins, do, monkeypatch, arrives=True)
    assert [code(do()), code(do())] == ["jenkins_in_doubt"] * 2
    jenkins.jobs["deploy"].parameters = {"TONGCHOU_KEY": "String"}  # the lost request had none, so it proves nothing
    assert code(do()) == "jenkins_in_doubt"
    assert jenkins.posts("/build") == 1


@pytest.mark.parametrize(("parameters", "wanted"), [({"TONGCHOU_KEY": "String"}, None), ({}, "jenkins_in_doubt")])
def test_an_answer_that_breaks_off_is_no_second_build(
    jenkins: Jenkins, do: Do, parameters: dict[str, str], wanted: str | None
) -> None:
    jenkins.jobs["deploy"] = Job(parameters)
    jenkins.lost_posts = 1
    assert code(do()) == wanted
    jenkins.tick()
    assert jenkins.posts("/build") + jenkins.posts("/buildWithParameters") == 1


def test_a_server_that_cannot_be_reached_was_asked_nothing(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job()
    jenkins.stop()
    assert code(do()) == "jenkins_failed"
    assert BuildStart.objects.get().sent_at is None
    jenkins.start()
    assert do().reason is None


def test_of_two_workers_that_do_the_same_step_one_asks(jenkins: Jenkins, do: Do) -> None:
    """As when one that was taken for dead comes back: both had read that nothing was sent."""
    jenkins.jobs["deploy"] = Job({"TONGCHOU_KEY": "String"}, seconds=0.5)
    results: list[StepResult] = []

    def work() -> None:
        try:
            results.append(do())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [code(each) for each in results] == [None] * 4
    assert {each.output["number"] for each in results} == {1}
    assert jenkins.posts("/buildWithParameters") == 1


def test_records_are_kept_for_a_month() -> None:
    row = build_starts.begin(key="old", server="ci", job="x")
    build_starts.begin(key="new", server="ci", job="x")
    BuildStart.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=31))
    assert build_starts.prune() == 1
    assert BuildStart.objects.get().key == "new"


# --- its time


@pytest.mark.parametrize(
    ("stop", "stubborn", "wanted"),
    [(False, False, "jenkins_left"), (True, False, "jenkins_stopped"), (True, True, "jenkins_not_stopped")],
)
def test_a_build_that_takes_too_long(jenkins: Jenkins, do: Do, stop: bool, stubborn: bool, wanted: str) -> None:
    jenkins.jobs["deploy"] = Job(seconds=30, stubborn=stubborn)
    began = time.monotonic()
    result = do(timeout_seconds=1.0, stop_on_timeout=stop)
    assert code(result) == wanted
    assert time.monotonic() - began < 6
    build = jenkins.jobs["deploy"].builds[0]
    assert build.building is (wanted != "jenkins_stopped")
    assert jenkins.posts("/stop") == (1 if stop else 0)


def test_what_waits_too_long_is_taken_out_of_the_queue(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(quiet=30)
    assert code(do(timeout_seconds=1.0, stop_on_timeout=True)) == "jenkins_stopped"
    assert [each.cancelled for each in jenkins.items.values()] == [True]
    assert jenkins.jobs["deploy"].builds == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_cancelled_run_stops_its_build_where_the_step_says_so(
    jenkins: Jenkins, do: Do, monkeypatch: pytest.MonkeyPatch, stop: bool
) -> None:
    jenkins.jobs["deploy"] = Job(seconds=30)
    began = time.monotonic()
    monkeypatch.setattr("tongchou.integrations.jenkins.step._is_cancelled", lambda _key: time.monotonic() > began + 0.8)
    result = do(stop_on_timeout=stop)
    assert code(result) == ("jenkins_cancelled" if stop else "jenkins_cancelled_left")
    assert jenkins.jobs["deploy"].builds[0].building is not stop


def test_slow_answers_do_not_stretch_the_step(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=30)
    in_a_while(0.5, lambda: setattr(jenkins, "latency", 3.0))
    began = time.monotonic()
    assert code(do(timeout_seconds=1.5)) == "jenkins_left"
    assert time.monotonic() - began < 9
    jenkins.latency = 0.0


# --- who may


def test_a_crumb_and_its_session_are_fetched_where_the_server_wants_them(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(seconds=30)
    jenkins.crumbs = True
    assert code(do(timeout_seconds=1.0, stop_on_timeout=True)) == "jenkins_stopped"
    assert sum(1 for _method, path in jenkins.asked if "crumbIssuer" in path) == 1, "the second post has it already"


def test_no_crumb_is_asked_for_where_none_is_wanted(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job()
    do()
    assert not any("crumbIssuer" in path for _method, path in jenkins.asked)


def test_a_wrong_token(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job()
    jenkins.users["ops"] = "another"
    result = do()
    assert code(result) == "jenkins_failed"
    assert result.reason is not None
    assert result.reason.params["reason"] == "401"


@pytest.mark.parametrize(
    ("job", "keys", "wanted"),
    [
        ("missing", {}, "jenkins_failed"),
        ("off", {}, "jenkins_not_buildable"),
        ("deploy", {"parameters": {"VERSOIN": "1"}}, "jenkins_parameter"),
        ("deploy", {"parameters": {"WHERE": "mars"}}, "jenkins_choice"),
        ("deploy", {"server": "other"}, "jenkins_server"),
        ("deploy", {"url": "http://elsewhere.example"}, "jenkins_moved"),
    ],
)
def test_what_is_refused_before_anything_is_asked(
    jenkins: Jenkins, do: Do, job: str, keys: dict[str, object], wanted: str
) -> None:
    jenkins.jobs |= {"deploy": Job({"WHERE": ["fat", "prod"]}), "off": Job(buildable=False)}
    assert code(do(job, **keys)) == wanted
    assert not any(method == "POST" for method, _path in jenkins.asked)


def test_redirects_are_not_followed_with_a_token(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job()
    jenkins.redirect = "http://evil.example/"
    result = do()
    assert code(result) == "jenkins_failed"
    assert result.reason is not None
    assert result.reason.params["reason"] == "redirect"


def test_the_guard_of_outgoing_requests_holds(jenkins: Jenkins, do: Do, settings: Any) -> None:
    settings.HTTP_ALLOW = []
    jenkins.jobs["deploy"] = Job()
    result = do()
    assert code(result) == "jenkins_failed"
    assert result.reason is not None
    assert result.reason.params["reason"] == "refused"
    assert jenkins.asked == []


# --- secrets


def test_no_secret_is_shown(jenkins: Jenkins, do: Do, server: BuildServer, caplog: pytest.LogCaptureFixture) -> None:
    """The token, a password of the job, and a secret of the procedure: in no output, event, or log line."""
    jenkins.jobs["deploy"] = Job({"PASS": "Password", "KEY": "String"}, log=f"uses {TOKEN} and hunter-22\nend\n")
    with caplog.at_level("DEBUG"):
        result = do(parameters={"PASS": "${secret.db}", "KEY": "k"}, secrets={"db": "hunter-22"})
    assert result.reason is None
    assert result.output["parameters"] == {"PASS": MASK, "KEY": "k"}
    assert jenkins.jobs["deploy"].builds[0].parameters[0]["value"] == "hunter-22", "the job itself has it"
    assert result.output["log"] == f"uses {MASK} and {MASK}\nend"
    events = json.dumps(list(Event.objects.values_list("payload", flat=True)), default=str)
    for text in (json.dumps(dict(result.output)), events, caplog.text, repr(server.__dict__)):
        assert TOKEN not in text
        assert "hunter-22" not in text


def test_of_a_large_log_only_the_end_is_fetched(jenkins: Jenkins, do: Do) -> None:
    jenkins.jobs["deploy"] = Job(log="".join(f"line {number} {'x' * 90}\n" for number in range(200_000)))
    result = do()
    lines = result.output["log"].splitlines()
    assert (len(lines), lines[-1].startswith("line 199999 ")) == (follow.LOG_LINES, True)


# --- before


def preview(url: str, **keys: object) -> StepResult:
    body = {"server": "ci", "job": "deploy", "parameters": {}, "key_parameter": "TONGCHOU_KEY", "url": url, **keys}
    return JENKINS_STEP.preview(StepCall("build", body, "run:0", True), Context())


def test_the_preview_says_what_would_be_built_and_builds_nothing(jenkins: Jenkins, server: BuildServer) -> None:
    jenkins.jobs["deploy"] = Job({"VERSION": "String", "PASS": "Password", "TONGCHOU_KEY": "String"}, next_number=7)
    shown = preview(jenkins.url, parameters={"VERSION": "1.4", "PASS": "${secret.db}"})
    assert shown.reason is None
    assert all("#7" in says for says in shown.output["says"].values())
    assert (shown.output["found_by_key"], shown.output["parameters"]) == (True, {"VERSION": "1.4", "PASS": MASK})
    assert not any(method == "POST" for method, _path in jenkins.asked)
    assert code(preview(jenkins.url, parameters={"NO": "${secret.db}"})) == "jenkins_parameter"
    assert code(preview(jenkins.url, job="missing")) == "jenkins_failed"


def test_what_is_wrong_with_a_step(jenkins: Jenkins, server: BuildServer) -> None:
    step = {"server": "ci", "job": "deploy", "parameters": {}}
    known = JENKINS_STEP.complete(step, {})
    assert known["url"] == jenkins.url
    assert JENKINS_STEP.validate("jenkins", known) == []
    assert len(JENKINS_STEP.validate("jenkins", {**known, "job": "a/../b"})) == 1
    assert len(JENKINS_STEP.validate("jenkins", {**known, "parameters": {"A": ["list"]}})) == 1
    build_actions.put_server(actor=system("tests"), name="ci", wanted=ServerWanted(enabled=False))
    assert len(JENKINS_STEP.validate("jenkins", JENKINS_STEP.complete(step, {}))) == 1


def test_the_time_of_a_try_that_was_cut_off_counts_and_that_of_one_that_ended_does_not(
    jenkins: Jenkins, do: Do
) -> None:
    jenkins.jobs["deploy"] = Job(seconds=2.5)
    assert code(do(timeout_seconds=1.0)) == "jenkins_left"
    assert BuildStart.objects.get().begun_at is None
    assert do(timeout_seconds=5.0).reason is None, "the whole time again, and the same build"
    assert len(jenkins.jobs["deploy"].builds) == 1
    jenkins.jobs["deploy"].seconds = 30
    row = build_starts.begin(key="run:1", server="ci", job="deploy")
    BuildStart.objects.filter(pk=row.pk).update(begun_at=timezone.now() - timedelta(seconds=60))
    began = time.monotonic()
    assert code(do(key="run:1", timeout_seconds=61.0)) == "jenkins_left"
    assert time.monotonic() - began < 5
