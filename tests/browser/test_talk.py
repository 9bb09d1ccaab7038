"""Two people work on one incident: a mention with a pasted picture arrives without a reload, is opened and answered."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.browser.test_pages import charts_ready

pytestmark = pytest.mark.browser
# a picture of 2 x 2 pixels, as the clipboard would give it
PICTURE = base64.b64encode(
    base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFElEQVR42mP8z8Dwn4GBgYGJAQoAHxcCAi5Y8CEAAAAASUVORK5CYII="
    )
).decode()
PASTE = """([selector, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "截图.png", { type: "image/png" }));
  document.querySelector(selector).dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""


@pytest.mark.parametrize(("theme", "language"), [("light", "zh-hans"), ("dark", "en")])
def test_a_mention_with_a_picture_arrives_and_is_answered(signed_in: Any, theme: str, language: str) -> None:
    theirs = signed_in("approver", theme=theme, language=language)
    waiting = theirs.open("/resources")
    before = waiting.locator("#count-inbox").inner_text()
    mine = signed_in("operator", theme=theme, language=language)
    page = mine.open("/incidents/1")
    area = page.locator("#write-new")
    area.wait_for()
    area.click()
    area.press_sequentially("**看这里** @app", delay=30)
    page.wait_for_selector(".talk-offers [role=option]")
    mine.shot(f"talk-offers-{theme}-{language}")
    area.press("Enter")
    assert area.input_value().endswith("@approver ")
    area.press_sequentially("INC-1 `code`")
    page.evaluate(PASTE, ["#write-new", PICTURE])
    page.wait_for_selector(".talk-staged li img")
    said = page.locator("[data-talk-live=list] > .said").nth(page.locator("[data-talk-live=list] > .said").count())
    area.press("Control+Enter")
    said.locator(".talk-picture img").wait_for()
    assert said.locator(".mention").inner_text() == "@approver"
    assert area.input_value() == ""
    charts_ready(page)
    mine.shot(f"talk-incident-{theme}-{language}")

    for _try in range(150):  # the content policy forbids eval, so no wait_for_function
        if waiting.locator("#count-inbox .count").count() and waiting.locator("#count-inbox").inner_text() != before:
            break
        waiting.wait_for_timeout(100)
    assert waiting.locator("#count-inbox").inner_text() != before, "the count did not go up without a reload"
    waiting.keyboard.press("g")
    waiting.keyboard.press("g")
    waiting.wait_for_url("**/inbox")
    theirs.shot(f"inbox-{theme}-{language}")
    waiting.keyboard.press("j")
    waiting.keyboard.press("Enter")
    waiting.wait_for_url("**/incidents/1#comment-*")
    waiting.locator(".said:target").wait_for()
    target = waiting.locator(".said:target")
    target.locator("> .talk-fold > summary").click()
    answer = target.locator("> .talk-fold textarea")
    answer.fill("收到, looking")
    answer.press("Control+Enter")
    waiting.locator(".said.answer", has_text="looking").last.wait_for()
    page.locator(".said.answer", has_text="looking").last.wait_for()  # the other page shows it, not reloaded
    page.locator("#timeline", has_text="looking").wait_for()  # which refreshes for itself
    theirs.open("/inbox/preferences")
    theirs.shot(f"inbox-preferences-{theme}-{language}")


def test_unsent_text_survives_and_a_refusal_loses_nothing(signed_in: Any) -> None:
    seen = signed_in("operator", language="en")
    page = seen.open("/incidents/1")
    page.locator("#write-new").wait_for()
    page.locator("#write-new").fill("half a thought")
    page.reload()
    page.locator("#write-new").wait_for()
    assert page.locator("#write-new").input_value() == "half a thought"
    page.route("**/talk/comments", lambda route: route.abort())
    page.locator("#write-new").press("Control+Enter")
    page.locator("[data-talk-keep=write] .error:not([hidden])").wait_for()
    assert page.locator("#write-new").input_value() == "half a thought"
    page.unroute("**/talk/comments")
    seen.faults.clear()  # the refusal that was staged
    page.locator("#write-new").fill("")


def test_a_file_is_attached_deleted_and_got_back(signed_in: Any, tmp_path: Any) -> None:
    seen = signed_in("operator", language="en")
    page = seen.open("/procedures/look-and-ask")
    page.locator("#talk-attach").wait_for()
    path = tmp_path / "notes.txt"
    path.write_text("what we found")
    page.set_input_files("#talk-attach", str(path))
    page.click(".talk-attach button")
    row = page.locator(".talk-file", has_text="notes.txt")
    row.wait_for()
    seen.shot("talk-file-light-en")
    row.locator("button").click()
    row.wait_for(state="detached")
    page.locator("#toasts button", has_text="Undo").click()
    row.wait_for()
