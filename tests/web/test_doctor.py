"""The page and the endpoint of the checks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.foreign import SYSTEM, member_of
from tongchou.core import people
from tongchou.core.models import Job, JobState, Role
from tongchou.telemetry.backend import Telemetry

pytestmark = pytest.mark.django_db


def test_the_page_says_what_to_do(browser: Any, telemetry_db: Telemetry) -> None:
    Job.objects.create(name="a.b", state=JobState.DEAD)
    text = browser(Role.OPERATOR).get("/admin/doctor").content.decode()
    assert "jobs failed for good" in text
    assert "each says what failed and what helps" in text
    assert "打开“作业”" in browser(Role.OPERATOR, "zh-hans").get("/admin/doctor").content.decode()


def test_the_endpoint_gives_the_same(api: Any, telemetry_db: Telemetry) -> None:
    told = api.get("/api/v1/doctor").json()
    found = {each["name"]: each for each in told["checks"]}
    assert found["telemetry.store"]["status"] == "ok"
    assert told["status"] in ("warn", "fail")
    assert sum(told["counts"].values()) == len(found)


def test_it_is_for_operators_of_everything_only(browser: Any, api_as: Any, viewer_actor: Any) -> None:
    assert browser(Role.VIEWER).get("/admin/doctor").status_code == 403
    ours = people.create_team(actor=SYSTEM, name="ours")
    assert browser(member_of(ours, Role.OPERATOR)).get("/admin/doctor").status_code == 403
    assert api_as(viewer_actor).get("/api/v1/doctor").status_code == 403
