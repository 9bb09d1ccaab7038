"""A recorded fault as every method gets it: series of services before and during it, who calls whom, where it hurts."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tongchou.incidents.suspects import ShiftKind
from tongchou.telemetry.shifts.names import FLOORS

Floats = npt.NDArray[np.float64]


class BadSet(Exception):
    """The folder does not hold what a set of its kind must hold; the text names the file."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of one service, as a product's quantity: `bad` is the direction that hurts, 0 either."""

    service: str
    name: str
    kind: ShiftKind
    unit: str
    bad: int

    @property
    def floor(self) -> float:
        """The least move worth a word, as the product has it for this kind and unit."""
        fits = {"memory": "bytes", "latency": "seconds", "errors": "ratio", "cpu": "cores"}
        return FLOORS[self.kind] if fits.get(self.kind) == self.unit else 0.0


@dataclass(slots=True)
class Case:
    """`base` and `scan` are [series x steps]; the fault or first symptom is at the step `first_step` of scan.

    `calls` is caller -> callees, None when the set has no topology. `excluded` are services no method may name.
    """

    name: str
    fault: str
    truth: str
    series: list[Series]
    base: Floats
    scan: Floats
    step_seconds: float
    first_step: int = 0
    calls: Mapping[str, frozenset[str]] | None = None
    symptom: str | None = None
    excluded: frozenset[str] = field(default_factory=frozenset)

    @property
    def services(self) -> list[str]:
        """Every service a method may name."""
        named = {each.service for each in self.series}
        if self.calls is not None:
            named |= set(self.calls).union(*self.calls.values())
        return sorted(named - self.excluded)


def find(folder: Path, stem: str) -> Path | None:
    """The file of this name in a folder, plain or compressed."""
    return next((folder / f"{stem}{end}" for end in ("", ".gz", ".xz") if (folder / f"{stem}{end}").is_file()), None)


def need(folder: Path, stem: str) -> Path:
    """The file, or BadSet."""
    path = find(folder, stem)
    if path is None:
        raise BadSet(f"{folder / stem}: not there (nor .gz, .xz)")
    return path


def rows_of(path: Path) -> list[list[str]]:
    """The rows of a CSV file, plain or compressed."""
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".xz":
        raw = lzma.decompress(raw)
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8", errors="replace"))))
    if not rows:
        raise BadSet(f"{path}: empty")
    return rows


def number(text: str) -> float:
    """A cell; NaN for an empty one or a word."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def table(rows: list[list[str]], columns: int) -> Floats:
    """Rows of text as numbers [rows x columns]; short rows end in gaps."""
    found = np.full((len(rows), columns), np.nan)
    for at, row in enumerate(rows):
        for place, cell in enumerate(row[:columns]):
            found[at, place] = number(cell)
    return found
