"""`python -m tests.conformance.promqltest [-v] FILE...` runs promqltest scripts and prints, per file,

    FILE: passed N of M, K not supported

What is counted:
- M is every float eval of the file: instant and range evals, those expecting an error, a warning, a string or an
  order included. An eval is not a float eval, and not counted, when it expects a native histogram or when a selector
  of it matches a series that holds native histograms at that point of the script (loaded as `{{...}}`, or made by
  load_with_nhcb from classic buckets). Evals beside them in the same block, which read floats alone, are counted.
- K are the evals promql-parser raises on; they are part of M. `-v` lists each with the parser's error. An eval that
  expects an error, and this one if it says which, has passed.
- A block of the script that cannot be read is one failure, and the next is read.
- N are the evals that met every expectation: values within Prometheus' own tolerance (1e-6), labels, order, errors
  and annotations. As in Prometheus' engine tests, an instant eval must also give the same as the middle step of a
  range query, and the same with every selector pinned by @ and the query asked at other times.

Queries run with delayed removal of metric names, as Prometheus' test engine is configured.
The exit code is 0 when every supported eval passes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from django.conf import settings

from tests.conformance.promqltest.run import run_file


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.promqltest")
    parser.add_argument("-v", "--verbose", action="store_true", help="list failures and what is not supported")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args(arguments)
    if not settings.configured:
        settings.configure(USE_I18N=False)
    failed = 0
    for path in options.files:
        report = run_file(path)
        print(report.line())
        failed += report.count("failed")
        if options.verbose:
            for outcome in report.outcomes:
                if outcome.state != "passed":
                    print(f"  {path.name}:{outcome.line}: {outcome.state}: {outcome.query}\n      {outcome.detail}")
            if report.not_counted:
                print(f"  {path.name}: {report.not_counted} evals of native histograms not counted")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
