"""Steps by which people define things of their own, by the forms."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page


def required_text(page: Page, name: str, label_en: str, label_zh: str) -> None:
    """A required text field, beginning on the page of its kind."""
    page.click("#kind-fields a.btn")
    page.click("a[href^='?type=text']")
    page.fill("#name", name)
    page.fill("#label_en", label_en)
    page.fill("#label_zh", label_zh)
    page.check("[name=required]")
    page.click("form.stack .btn.primary")
    page.wait_for_url("**/fields?kind=*")


def relation_type(seen: Any, name: str, from_kind: str) -> None:
    """A relation type from a kind to anything."""
    page: Page = seen.open("/kinds/relation-types/new")
    page.fill("#name", name)
    for place in ("label_en", "label_zh", "reverse_label_en", "reverse_label_zh"):
        page.fill(f"#{place}", f"guards {place}")
    page.select_option("#from_kinds", from_kind)
    page.click("form.stack .btn.primary")
    page.wait_for_url("**/kinds")
