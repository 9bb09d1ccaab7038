from __future__ import annotations

import pytest
from hypothesis import given

from tests.telemetry.dashboards.drawn import PROPERTY, names, thresholds
from tongchou.core.problems import Invalid
from tongchou.telemetry.dashboards.definition import Name, Threshold
from tongchou.telemetry.dashboards.lines import read_names, read_thresholds, write_names, write_thresholds


@PROPERTY
@given(thresholds())
def test_thresholds_are_read_as_they_are_written(steps: tuple[Threshold, ...]) -> None:
    assert [Threshold(**each) for each in read_thresholds(write_thresholds(steps), "x")] == list(steps)


@PROPERTY
@given(names())
def test_names_are_read_as_they_are_written(found: tuple[Name, ...]) -> None:
    again = [Name(**each) for each in read_names(write_names(found), "x")]
    assert [(each.least, each.most) for each in again] == [(each.least, each.most) for each in found]


def test_what_people_write() -> None:
    assert read_thresholds(" ok \n\n70 warning\n9e1   critical", "t")[2] == {"at": 90.0, "tone": "critical"}
    assert read_names("1 = Up [ok]\n-2 .. 0.5 = a = b", "n") == [
        {"least": 1.0, "most": 1.0, "text": "Up", "tone": "ok"},
        {"least": -2.0, "most": 0.5, "text": "a = b", "tone": ""},
    ]
    for wrong in ("70", "70 purple", "x ok", "70 ok 1"):
        with pytest.raises(Invalid) as raised:
            read_thresholds(f"ok\n{wrong}", "t")
        assert raised.value.field == "t:2"
    for wrong in ("1 Up", "= Up", "1 = Up [loud]"):
        with pytest.raises(Invalid):
            read_names(wrong, "n")
