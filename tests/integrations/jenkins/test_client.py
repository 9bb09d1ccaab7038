"""What is made of whatever a server sends: paths that stay below it, and no answer that breaks the reader."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from tongchou.changes.build_ports import Place
from tongchou.changes.told import Ignored, Told
from tongchou.integrations.jenkins.builds import BUILDS, JenkinsBuilds
from tongchou.integrations.jenkins.client import Jenkins, JenkinsError, is_job, job_path
from tongchou.integrations.jenkins.follow import Job, misfit, parameters_of, read_job
from tongchou.integrations.jenkins.told import told_of

NAMES = st.sampled_from(
    ["jobs", "fullName", "lastBuild", "number", "actions", "parameters", "name", "value", "property", "choices", "branch",
     "parameterDefinitions", "lastBuiltRevision", "SHA1", "causes", "userName", "building", "result", "timestamp", "duration",
     "allBuilds", "type"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.text(max_size=5)
ANYTHING = st.recursive(LEAVES, lambda some: st.lists(some, max_size=4) | st.dictionaries(NAMES, some, max_size=6))
OBJECTS = st.dictionaries(NAMES, ANYTHING, max_size=8)
PLACE = Place("ci", "https://ci.example.org/jenkins", "ops", "token")


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("deploy", "/job/deploy"),
        ("/shop/orders deploy/", "/job/shop/job/orders%20deploy"),
        ("shop/feature%2Fx", "/job/shop/job/feature%252Fx"),
        ("a?b#c", "/job/a%3Fb%23c"),
        ("店/发布", "/job/%E5%BA%97/job/%E5%8F%91%E5%B8%83"),
    ],
)
def test_the_path_of_a_job(job: str, path: str) -> None:
    assert is_job(job)
    assert job_path(job) == path


@pytest.mark.parametrize("job", ["", "/", "a//b", "a/../b", "..", "a/./b", "a\nb", "x" * 501, " / "])
def test_what_is_no_job(job: str) -> None:
    assert not is_job(job)


@given(st.text(max_size=40))
@example("../../manage")
def test_no_name_leads_out_of_its_place(job: str) -> None:
    if is_job(job):
        parts = job_path(job).split("/")[1:]
        assert parts[::2] == ["job"] * (len(parts) // 2)
        assert not any(part in ("", ".", "..") for part in parts)


@given(OBJECTS)
def test_no_answer_breaks_the_reader(told: dict[str, Any]) -> None:
    job = read_job(told)
    misfit("x", job, parameters_of(told) and {})
    assert isinstance(told_of(PLACE.url, "x", told, timezone.now()), Told | Ignored)


@given(OBJECTS)
def test_no_answer_breaks_a_look(told: dict[str, Any]) -> None:
    class Answering(JenkinsBuilds):
        def _get(self, place: Place, path: str, tree: str) -> Any:
            return told

    found = Answering().last_builds(PLACE)
    assert all(is_job(name) and number > 0 for name, number in found.items())
    builds = Answering().builds_after(PLACE, "x", 3, timezone.now(), most=50)
    assert all(build.number > 3 for build in builds)


def test_choices_and_unknown_parameters() -> None:
    job = Job(True, {"WHERE": ("ChoiceParameterDefinition", ("fat", "prod"))})
    assert misfit("x", job, {"WHERE": None}) is None
    assert misfit("x", job, {"WHERE": "prod"}) is None
    assert [
        str(each and each.code) for each in (misfit("x", job, {"WHERE": "mars"}), misfit("x", job, {"A": "1"}))
    ] == [
        "jenkins_choice",
        "jenkins_parameter",
    ]


def test_it_asks_only_what_the_guard_lets_through() -> None:
    """The cloud's own address, this host, and what is no web address: refused before anything is sent."""
    for url in ("http://169.254.169.254", "http://127.0.0.1:1", "ftp://ci.example.org", "http://[::1]:8080"):
        with pytest.raises(JenkinsError) as refused:
            Jenkins(Place("ci", url, "ops", "token-of-a-test"), 1e12).get("", "mode")
        assert refused.value.kind == "refused"
        assert "token-of-a-test" not in str(refused.value)
    assert BUILDS.server_kind == "jenkins"
