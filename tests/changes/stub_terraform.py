#!/usr/bin/env python3
"""Speaks what terraform does of init, plan, show, state and apply, as JSON files in its folder say.

terraform_data, the only provider that is built in, cannot drift: this can. `plan.json` is what show prints of a plan,
`state.json` what state pull prints; the exit code of plan follows from them. Every call is written to `calls.log`.
"""

import json
import os
import shutil
import sys
from pathlib import Path


def said(name: str) -> dict[str, object]:
    """What a file of the folder says."""
    found = Path(name)
    return json.loads(found.read_text()) if found.exists() else {}


def main(words: list[str]) -> int:
    """One call."""
    with Path("calls.log").open("a") as log:
        log.write(json.dumps({"words": words, "names": sorted(os.environ)}) + "\n")
    plan = said("plan.json")
    if words[0] == "plan":
        if "fail" in plan:
            line = {"type": "diagnostic", "diagnostic": {"severity": "error", "summary": plan["fail"], "detail": ""}}
            print(json.dumps(line))
            return 1
        out = next(word.partition("=")[2] for word in words if word.startswith("-out="))
        shutil.copy("plan.json", out)
        changes = [*plan.get("resource_drift", [])] if "-refresh-only" in words else [*plan.get("resource_changes", [])]
        return 2 if any(each["change"]["actions"] != ["no-op"] for each in changes) else 0
    if words[0] == "show":
        named = Path(words[-1])
        print(named.read_text() if named.exists() else json.dumps(said("shown.json")))
    elif words[:2] == ["state", "pull"]:
        print(json.dumps(said("state.json")) if Path("state.json").exists() else "")
    elif words[0] == "apply":
        print(json.dumps({"type": "change_summary", "@message": "Apply complete! Resources: 0 added."}))
        state = said("state.json")
        Path("state.json").write_text(json.dumps({**state, "serial": int(str(state.get("serial", 0))) + 1}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
