"""What smartctl says of disks, as facts that seldom change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integrations.host import smart_answers as answers
from tongchou.integrations.host import smart
from tongchou.inventory.catalogue.physical import STORAGE

FIELDS = {each.name for kind in STORAGE if kind.name == "disk" for each in kind.fields}


def told(answer: dict[str, Any], code: int | None = None) -> dict[str, Any]:
    own = answer["smartctl"]["exit_status"]
    return smart.attributes(answer["device"]["name"], answer, own if code is None else code)


def test_what_a_disk_of_ata_says() -> None:
    assert told(answers.ATA) == {
        "device": "/dev/sda",
        "size_bytes": 4000787030016,
        "medium": "rotating",
        "model": "WDC WD40EFRX-68N32N0",
        "serial": "WD-WCC7K0AAAAAA",
        "firmware": "82.00A82",
        "smart_health": "passed",
        "smart_power_on_hours": 28_000,
        "smart_reallocated_sectors": 0,
        "smart_pending_sectors": 0,
        "smart_uncorrectable_errors": 0,
    }


def test_what_a_failing_one_says() -> None:
    found = told(answers.ATA_FAILING)
    assert found["smart_health"] == "failed"
    assert (found["smart_reallocated_sectors"], found["smart_pending_sectors"]) == (1900, 8)
    assert found["smart_uncorrectable_errors"] == 3
    assert told(answers.NVME_FAILING)["smart_health"] == "failed"


def test_what_flash_says_of_its_wear() -> None:
    nvme, ssd = told(answers.NVME), told(answers.ATA_SSD)
    assert (nvme["medium"], nvme["smart_wear_percent"], nvme["smart_power_on_hours"]) == ("solid state", 3, 12_000)
    assert nvme["smart_written_bytes"] == 33 * 10**12  # 65,602,088 x 512,000
    assert (ssd["medium"], ssd["smart_wear_percent"], ssd["smart_written_bytes"]) == ("solid state", 12, 37 * 10**12)
    assert told({**answers.ATA_SSD, "endurance_used": {"current_percent": 7}})["smart_wear_percent"] == 7  # 7.4


def test_what_a_disk_of_sas_says() -> None:
    found = told(answers.SAS)
    assert (found["manufacturer"], found["firmware"], found["medium"]) == ("SEAGATE", "MS03", "rotating")
    assert (found["smart_reallocated_sectors"], found["smart_uncorrectable_errors"]) == (56, 0)
    assert "smart_pending_sectors" not in found
    before_7_2 = {
        k.removeprefix("scsi_") if k in ("scsi_vendor", "scsi_revision") else k: v for k, v in answers.SAS.items()
    }
    assert told(before_7_2) == found


@pytest.mark.parametrize("answer", [answers.ATA, answers.ATA_FAILING, answers.ATA_SSD, answers.NVME, answers.SAS])
def test_what_is_told_are_fields_of_the_catalogue_and_no_temperature(answer: dict[str, Any]) -> None:
    assert told(answer).keys() <= FIELDS
    assert "smart_temperature_celsius" not in told(answer)


@pytest.mark.parametrize(
    "code, more, verdict",
    [
        (0x00, {}, "passed"),
        (0x04, {}, "passed"),  # one command of several was not understood
        (0x20, {}, "passed"),  # below a threshold some time ago
        (0x40, {}, "passed"),  # an error was logged some time ago
        (0x08, {}, "failed"),
        (0x10, {}, "warning"),
        (0x80, {}, "warning"),
        (0x00, {"smart_status": {"passed": False}}, "failed"),
        (0x00, {"smart_status": {}}, None),
        (0x00, {"endurance_used": {"current_percent": 100}}, "warning"),
        (0x00, {"ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 1}}]}}, "warning"),
    ],
)
def test_the_verdict(code: int, more: dict[str, Any], verdict: str | None) -> None:
    assert told({**answers.ATA, **more}, code).get("smart_health") == verdict


def test_an_answer_is_one_only_of_a_disk_that_could_be_opened() -> None:
    assert smart.answered(216, answers.ATA_FAILING)
    assert smart.answered(4, answers.ATA)
    assert not smart.answered(2, answers.NOT_ALLOWED)
    assert not smart.answered(1, answers.ATA)
    assert "Permission denied" in smart.why(answers.NOT_ALLOWED)
    assert smart.asleep(3, answers.ASLEEP)
    assert not smart.asleep(3, answers.ATA)


def test_devices_of_a_scan() -> None:
    behind = [{"name": "/dev/bus/0", "type": f"megaraid,{each}", "protocol": "SCSI"} for each in (0, 7)]
    scan = {"devices": [*answers.SCAN["devices"], *behind, {"name": "//evil", "type": "scsi"}, {"name": 7}]}
    found = smart.devices(scan, ["sda", "sdb", "nvme0n1", "nvme0n2", "nvme1n1", "dm-0"])
    assert [(each.path, each.type, each.names) for each in found] == [
        ("/dev/sda", "", ("sda",)),
        ("/dev/sdb", "", ("sdb",)),
        ("/dev/nvme0", "", ("nvme0n1", "nvme0n2")),
        ("/dev/bus/0", "megaraid,0", ("bus-0 megaraid,0",)),
        ("/dev/bus/0", "megaraid,7", ("bus-0 megaraid,7",)),
    ]
    assert smart.devices({}, []) == smart.devices([], []) == []


@given(st.integers(0, 10**14), st.integers(0, 10**6))
def test_what_grows_is_told_anew_only_now_and_then(start: int, more: int) -> None:
    """By two digits: never more than it is, never less than nine tenths of it, and never less than before."""
    told_ = smart.coarse(start)
    assert told_ is not None
    assert start * 0.9 <= told_ <= start
    later = smart.coarse(start + more)
    assert later is not None
    assert later >= told_


@given(st.integers(1, 10**6))
def test_from_one_look_to_the_next_a_disk_says_the_same(hours: int) -> None:
    hours -= hours % smart.HOURS_STEP
    looks = [
        {**answers.ATA, "power_on_time": {"hours": hours + each}, "temperature": {"current": each}} for each in (0, 24)
    ]
    assert told(looks[0]) == told(looks[1])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted({*answers.ATA, *answers.NVME, *answers.SAS, "devices"})), _json),
    st.integers(0, 255),
)
@settings(max_examples=100, deadline=None)
def test_no_answer_breaks_the_reader(found: dict[str, Any], code: int) -> None:
    json.dumps(smart.attributes("/dev/sda", found, code))
    smart.answered(code, found)
    smart.why(found)
    smart.devices(found, ["sda"])
