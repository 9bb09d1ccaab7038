"""A kind of one's own in a browser: a thousand of it come from a file, one differs, all hang on one thing."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.defining import relation_type, required_text
from tests.served import Served

pytestmark = pytest.mark.browser
ROWS = 1000
IMPORT_MS = 120_000  # on a host that does other things, too


def written(header: list[str], rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


def define(seen: Any, kind: str, guards: str) -> None:
    """A kind with a required field and a relation of its own, by their forms."""
    page = seen.open("/kinds/new")
    page.fill("#name", kind)
    page.fill("#label_en", f"Turnstile {kind}")
    page.fill("#label_zh", f"闸机 {kind}")
    page.select_option("#group", "security")
    page.select_option("#parent", "device")  # whose fields it has, too
    page.click("form.stack .btn.primary")
    page.wait_for_url(f"**/kinds/{kind}")
    required_text(page, f"place_{kind}", "Place", "位置")
    relation_type(seen, guards, kind)


def bring(seen: Any, file: Path) -> None:
    """The file, its columns, its plan, and all of it done."""
    page = seen.open("/lists/inventory.resource/import")
    page.set_input_files("#file", str(file))
    page.click("main .btn.primary")
    page.wait_for_selector("#column-0")
    page.click("main .btn.primary")
    page.wait_for_selector("main form[action$='/run']", timeout=IMPORT_MS)
    seen.shot(f"story-planned-{file.stem}")
    page.click("main form[action$='/run'] button")
    page.wait_for_selector("main form[action$='/undo']", timeout=IMPORT_MS)
    seen.shot(f"story-imported-{file.stem}")


def see_otherwise(client: httpx.Client, kind: str) -> None:
    """A source that observes another maker of one of them than the file declared."""
    settings = {"kind": kind, "keys": {"serial": "serial"}, "attributes": {"maker": "manufacturer"}}
    source = {"kind": "excel", "declares": False, "settings": settings}
    client.put(f"/api/v1/sources/stock-{kind}", json=source).raise_for_status()
    body = written(["name", "serial", "maker"], [[f"{kind}-0017", f"SN-{kind}-0017", "Borland"]])
    asked = {"file": "stock.csv", "dry_run": "false"}
    headers = {"Content-Type": "application/octet-stream"}
    path = f"/api/v1/sources/stock-{kind}/documents"
    client.post(path, params=asked, content=body, headers=headers).raise_for_status()
    client.post("/api/v1/queues/refresh").raise_for_status()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("theme", "language"), [("light", "zh-hans"), pytest.param("dark", "en", marks=pytest.mark.soak)]
)
def test_a_thousand_of_a_new_kind_come_differ_and_hang_together(
    platform: Served, signed_in: Any, tmp_path: Path, theme: str, language: str
) -> None:
    kind = f"turnstile_{language[:2]}"
    guards = f"bars_{language[:2]}"
    hall = f"hall-{language[:2]}"
    with platform.client() as client:
        body = {"kind": "service", "name": hall}
        client.post("/api/v1/resources", json=body).raise_for_status()
    seen = signed_in(theme=theme, language=language)
    define(seen, kind, guards)
    header = ["kind", "name", "keys", "relations", "at.manufacturer", f"cf.place_{kind}"]
    rows = [
        [kind, f"{kind}-{n:04}", f"serial:SN-{kind}-{n:04}", f"{guards} service/{hall}", "Acme", f"gate {n}"]
        for n in range(ROWS)
    ]
    file = tmp_path / f"{kind}.csv"
    file.write_bytes(written(header, rows))
    bring(seen, file)
    with platform.client() as client:
        assert client.get("/api/v1/resources", params={"kind": kind}).json()["count"] == ROWS
        see_otherwise(client, kind)
        platform.wait(
            lambda: [
                each
                for each in client.get("/api/v1/queue-items", params={"queue": "differs"}).json()["items"]
                if "Borland" in str(each) and kind in str(each)
            ],
            seconds=60,
            what="the drift",
        )
    page = seen.open("/resources/kinds")
    page.click("[data-queue=differs]")
    page.wait_for_url("**/resources/queues?queue=differs")
    row = page.locator("main tbody tr", has_text=f"{kind}-0017")
    assert row.count() == 1
    seen.shot(f"story-drift-{kind}")
    row.locator("a").first.click()
    page.wait_for_selector("button[value=accept_observed]")
    with platform.client() as client:
        [one] = client.get("/api/v1/resources", params={"kind": "service", "q": hall}).json()["items"]
    page = seen.open(f"/map?show=all&focus={one['id']}&direction=upstream")
    page.wait_for_selector("svg.scene .is-focus")
    seen.shot(f"story-map-{kind}")
    assert str(ROWS) in page.locator("section", has_text=hall).locator(".sub").first.inner_text()  # may suffer with it
