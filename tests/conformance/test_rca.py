"""The runner of recorded faults, on tiny sets that the tests make: it reads each kind, measures, and says what is wrong."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from tests.conformance.rca.__main__ import main
from tests.conformance.rca.cases import BadSet
from tests.conformance.rca.measure import figures, found_within, measure
from tests.conformance.rca.sets import load

SERVICES = ("front", "cart", "pay")


def sockshop(folder: Path, cases: int = 3) -> Path:
    """Cases whose cause uses ten times the CPU of before; another service's CPU is noisy."""
    part = folder / "public"
    labels = []
    for number in range(cases):
        cause = SERVICES[number % 3]
        rng = random.Random(number)
        case = part / f"{cause}_cpu_{number}"
        case.mkdir(parents=True)
        for name, factor in (("normal", 1.0), ("anomalous", 10.0)):
            rows = [",".join(["time", *(f"{s}_{m}" for s in SERVICES for m in ("cpu", "mem", "lat_90"))])]
            for second in range(60):
                cells = []
                for service in SERVICES:
                    cpu = rng.gauss(10, 0.5) * (factor if service == cause else 1)
                    cells += [cpu, 1e8 + rng.gauss(0, 1e5), 0.2 + rng.gauss(0, 0.01)]
                rows.append(",".join(str(each) for each in (second, *cells)))
            (case / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
        labels.append(
            {"case": case.name, "root_cause_service": cause, "root_cause_metric": f"{cause}_cpu", "fault": "cpu"}
        )
    (part / "labels.json").write_text(json.dumps(labels))
    return folder


def petshop(folder: Path) -> Path:
    """front calls cart, cart calls pay; pay is slow, and so are its callers, a little later."""
    scenario = folder / "heldout" / "calm"
    issue = scenario / "test" / "issue_0"
    issue.mkdir(parents=True)
    (scenario / "noissue").mkdir()
    rng = random.Random(1)
    head = [
        "microservice," + ",".join(SERVICES),
        "metric," + ",".join(["latency"] * 3),
        "statistic," + ",".join(["p90"] * 3),
    ]
    usual = [f"{300 * n}," + ",".join(str(0.1 + rng.gauss(0, 0.005)) for _ in SERVICES) for n in range(100)]
    (scenario / "noissue" / "metrics.csv").write_text("\n".join([*head, "unix_timestamp,,,", *usual]))
    during = ["50000,0.1,0.1,0.1", "50300,0.8,0.9,1.5", "50600,0.8,0.9,1.5"]
    (issue / "metrics.csv").write_text("\n".join([*head, "unix_timestamp,,,", *during]))
    graph = [",front,cart,pay", "front,0,1,0", "cart,0,0,1", "pay,0,0,0"]
    (scenario / "graph.csv").write_text("\n".join(graph))
    target = {"node": "front", "metric": "latency", "agg": "p90", "timestamp": 50400}
    (issue / "target.json").write_text(json.dumps({"target": target, "root_cause": {"node": "pay"}}))
    label = {"case": "calm/test/issue_0", "target_metric": "latency", "target_node": "front", "root_cause": "pay"}
    (folder / "heldout" / "labels.json").write_text(json.dumps([label]))
    return folder


def nezha(folder: Path) -> Path:
    """Two pods; one's CPU is consumed from the injection on."""
    part = folder / "public" / "shop"
    case = part / "2022-08-22_03_53_case01"
    (part / "faultfree" / "2022-08-22").mkdir(parents=True)
    case.mkdir(parents=True)
    rng = random.Random(2)

    def rows(times: range, inject: float) -> str:
        out = ["Time,TimeStamp,PodName,CpuUsage(m),MemoryUsage(Mi)"]
        for at in times:
            for pod in ("cart-579f59597d-wc2lz", "pay-579f59597d-abcde"):
                cpu = 200 if at >= inject and pod.startswith("pay") else 10 + rng.random()
                out.append(f"x,{at},{pod},{cpu},{50 + rng.random()}")
        return "\n".join(out)

    (part / "faultfree" / "2022-08-22" / "metrics.csv").write_text(rows(range(0, 6000, 60), 1e9))
    (case / "metrics.csv").write_text(rows(range(9760, 10180, 60), 10000))
    label = {
        "case": case.name,
        "service": "pay",
        "pod": "pay-579f59597d-abcde",
        "fault": "cpu",
        "inject_epoch_utc": 10000,
    }
    (part / "labels.json").write_text(json.dumps([label]))
    return folder


@pytest.mark.parametrize("make", [sockshop, petshop, nezha])
def test_the_cause_of_a_plain_fault_is_found_in_every_kind_of_set(make: object, tmp_path: Path) -> None:
    parts = load(make(tmp_path))  # type: ignore[operator]  # one of the makers
    (cases,) = parts.values()
    found = measure(cases)
    assert found["tongchou"][""].top1 == 1.0
    assert found["random"][""].top1 <= 0.5
    assert found["latest change"][""].avg5 == 0.0


def test_it_prints_every_method_for_all_and_for_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(sockshop(tmp_path)), "-v"]) == 0
    out = capsys.readouterr().out
    for method in ("tongchou", "latest change", "largest z", "random"):
        assert out.count(f" {method} ") >= 2
    assert "no topology in the set" in out


def test_the_same_folder_gives_the_same_figures(tmp_path: Path) -> None:
    (cases,) = load(sockshop(tmp_path)).values()
    assert measure(cases) == measure(cases)


def test_figures_by_hand() -> None:
    found = figures([found_within(["a", "b", "c"], "a"), found_within(["b", "c", "a"], "a"), found_within([], "a")])
    assert (found.top1, found.top3) == pytest.approx((1 / 3, 2 / 3))
    assert found.avg5 == pytest.approx((1 + 1 + 2 + 2 + 2) / 3 / 5)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "no labels.json"),
        ("{", "not JSON"),
        ("[]", "a list of objects"),
        ('[{"case": "x"}]', "of no known kind"),
        ('[{"case": "x", "root_cause_service": "a"}]', "normal.csv"),
    ],
)
def test_a_folder_that_is_no_set_is_refused_with_the_file_that_is_wrong(
    labels: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if labels is not None:
        (tmp_path / "labels.json").write_text(labels)
    with pytest.raises(BadSet, match=words):
        load(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert words in capsys.readouterr().err
