from __future__ import annotations

from tongchou.cli.sources import shown


def test_a_plan_reads_like_terraforms() -> None:
    found = {
        "counts": {"created": 1, "changed": 1, "gone": 1},
        "warnings": [{"text": "a warning"}],
        "conflicts": [],
        "lines": {
            "created": [{"kind": "vm", "name": "web-2", "changes": [["size", None, '"small"']]}],
            "changed": [
                {"kind": "vm", "name": "web-1", "changes": [["size", '"small"', '"large"'], ["zone", '"a"', None]]}
            ],
            "gone": [{"kind": "vm", "name": "web-0"}],
            "relations": [{"sign": "+", "from": "web-2", "type": "runs_on", "to": "net"}],
            "cut": 0,
        },
    }
    assert shown(found) == [
        "+ vm web-2",
        '    + size = "small"',
        "~ vm web-1",
        '    ~ size: "small" -> "large"',
        '    ~ zone: "a" -> -',
        "- vm web-0",
        "+ web-2 runs_on net",
        "! a warning",
        "+ 1  ~ 1  - 1",
    ]
