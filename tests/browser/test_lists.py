"""Lists in a real browser: filter, keep a view, change rows, export, import with an error, undo; in both languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.served import Served


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("zh-hans", "dark")])
def test_a_list_is_an_everyday_tool(
    language: str, theme: str, signed_in: Any, platform: Served, tmp_path: Path
) -> None:
    short = language[:2]
    with platform.client() as client:
        for n in range(4):
            client.post("/api/v1/resources", json={"kind": "host", "name": f"{short}-box-{n}"}).raise_for_status()
    seen = signed_in("admin", language=language, theme=theme)
    page = seen.open("/resources")
    page.click("[data-dialog=list-filters]")
    seen.shot(f"lists-filter-{short}")
    page.fill("#list-filters [name=name]", f"{short}-box")
    page.click("#list-filters .btn.primary")
    page.wait_for_url(f"**/resources?*name={short}-box*")
    assert page.locator("[data-pick]").count() == 4
    page.keyboard.press("c")
    seen.shot(f"lists-columns-{short}")
    page.click("#list-columns [data-close] >> nth=0")
    page.click(".list-bar details.menu > summary")
    page.click("[data-dialog=list-view-new]")
    page.fill("#view-name", f"boxes {short}")
    page.click("#list-view-new .btn.primary")
    page.wait_for_selector("[data-dialog=list-view]")
    seen.shot(f"lists-view-{short}")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.check("[data-pick] >> nth=1")
    page.click("[data-dialog=list-change-labels]")
    page.fill("#set-labels-add", "env=prod")
    seen.shot(f"lists-change-{short}")
    page.click("#list-change-labels .btn.primary")
    page.wait_for_url("**/batches/**")
    seen.shot(f"lists-preview-{short}")
    page.click("main form[action$='/run'] button")
    page.wait_for_selector("main form[action$='/undo']")
    seen.shot(f"lists-done-{short}")
    page.click("main form[action$='/undo'] button")
    page.click("#confirm-ok")
    page.wait_for_selector("main form[action$='/undo']", state="detached")
    page = seen.open(f"/resources?name={short}-box")
    page.click(".list-chips details.menu > summary")
    with page.expect_download() as download:
        page.click(".list-chips .menu-body a >> nth=0")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert f"{short}-box-3" in text
    file = tmp_path / "hosts.csv"
    file.write_text(f"kind,name,owner\nhost,{short}-new,\nhost,{short}-bad,nobody\n", encoding="utf-8")
    page = seen.open("/lists/inventory.resource/import")
    page.set_input_files("#file", str(file))
    seen.shot(f"lists-import-{short}")
    page.click("main .btn.primary")
    page.wait_for_selector("#column-0")
    seen.shot(f"lists-mapping-{short}")
    page.click("main .btn.primary")
    page.wait_for_selector("main form[action$='/run']")
    seen.shot(f"lists-planned-{short}")
    page.click("main form[action$='/run'] button")
    page.wait_for_selector("main form[action$='/undo']")
    page.click("main form[action$='/undo'] button")
    page.click("#confirm-ok")
    page.wait_for_selector("main form[action$='/undo']", state="detached")
    assert page.locator("main td .s-critical").count() == 1
