"""The figures: top-1, top-3, Avg@5 of each method, in all and by kind of fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.conformance.rca.cases import Case
from tests.conformance.rca.methods import METHODS

DEPTH = 5


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of cases. avg5 is the mean of top-1 to top-5."""

    cases: int
    top1: float
    top3: float
    avg5: float


def figures(hits: Sequence[Sequence[float]]) -> Figures:
    """From the chance of each case to be found within the first 1..5."""
    count = max(1, len(hits))
    at = [sum(each[k] for each in hits) / count for k in range(DEPTH)]
    return Figures(len(hits), at[0], at[2], sum(at) / DEPTH)


def found_within(answer: Sequence[str], truth: str) -> list[float]:
    """1.0 from the place of the truth on."""
    place = answer.index(truth) if truth in answer else DEPTH
    return [float(place <= k) for k in range(DEPTH)]


def by_chance(case: Case) -> list[float]:
    """The exact chance of a random order of the services."""
    count = max(1, len(case.services))
    return [min(1.0, (k + 1) / count) for k in range(DEPTH)]


def measure(cases: Iterable[Case]) -> dict[str, dict[str, Figures]]:
    """method -> kind of fault ("" for all) -> figures."""
    hits: dict[str, dict[str, list[list[float]]]] = {}
    for case in cases:
        rows = {name: found_within(method(case), case.truth) for name, method in METHODS.items()}
        rows["random"] = by_chance(case)
        for name, row in rows.items():
            for kind in ("", case.fault):
                hits.setdefault(name, {}).setdefault(kind, []).append(row)
    return {name: {kind: figures(each) for kind, each in found.items()} for name, found in hits.items()}


def lines(title: str, found: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """A table to print."""
    kinds = sorted({kind for each in found.values() for kind in each})
    width = max([24, *(len(kind) for kind in kinds)])
    out = [title]
    for kind in kinds:
        for name, each in found.items():
            if kind in each:
                f = each[kind]
                head = f"  {kind or 'all':{width}} {name:14}"
                out.append(f"{head} n={f.cases:<3} top-1 {f.top1:.3f}  top-3 {f.top3:.3f}  Avg@5 {f.avg5:.3f}")
    return out
