"""The page of a source in a real browser: a file is handed over, its plan read, then applied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.served import Served

pytestmark = pytest.mark.browser


def state(of: str, block: str, *more: str) -> str:
    vpcs = {f"{of}-1": block, **{f"{of}-{each}": "10.5.0.0/16" for each in more}}
    made = [{"index_key": id_, "attributes": {"id": id_, "cidr_block": text}} for id_, text in vpcs.items()]
    resource = {"mode": "managed", "type": "aws_vpc", "name": "main", "instances": made}
    return json.dumps({"version": 4, "lineage": of, "resources": [resource]})


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_a_plan_is_read_before_it_is_applied(
    signed_in: Any, platform: Served, tmp_path: Path, theme: str, language: str
) -> None:
    name = f"state-{theme}"
    with platform.client() as client:
        client.put(f"/api/v1/sources/{name}", json={"kind": "terraform"}).raise_for_status()
        asked = {"file": "a.json", "dry_run": "false"}
        body = state(name, "10.0.0.0/16", "2")
        headers = {"Content-Type": "application/octet-stream"}
        done = client.post(f"/api/v1/sources/{name}/documents", params=asked, content=body, headers=headers)
        done.raise_for_status()
    seen = signed_in(theme=theme, language=language)
    page = seen.open(f"/resources/sources/{name}/runs")
    file = tmp_path / "terraform.tfstate"
    file.write_text(state(name, "10.9.0.0/16", "3"))
    page.set_input_files("#file", file)
    page.click("form[enctype] button[value=plan]")
    page.wait_for_selector(".plan-lines")
    assert page.locator(".plan-lines >> nth=0").inner_text().count("10.9.0.0/16") == 1
    seen.shot(f"source-plan-{theme}-{language}")
    page.set_input_files("#file", file)
    page.click("form[enctype] button[value=apply]")
    page.wait_for_selector(".banner, .toast, table tbody tr")
    seen.shot(f"source-runs-{theme}-{language}")
