"""The user guide in the product: the pages of docs/, in the language of who reads, searched, opened where they help."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from tongchou.core.problems import NotFound
from tongchou.core.words import asked, terms
from tongchou.web import markdown
from tongchou.web.gate import ANY_PERSON, PageRequest, page

_LINK = re.compile(r'href="([a-z0-9-]+)\.md(#[^"]*)?"')
_PICTURE = re.compile(r'src="\.\./images/(en|zh)/([a-z0-9-]+)\.webp"')
_DAY = 86400
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """One page of the guide: its file's name, its heading, its text."""

    name: str
    title: str
    text: str


def _language() -> str:
    return "zh" if (translation.get_language() or "").startswith("zh") else "en"


@lru_cache(maxsize=4)
def chapters(language: str) -> dict[str, Chapter]:
    """Return every page by name, in the order of the index."""
    folder = Path(settings.DOCS) / language
    found = {}
    for file in sorted(folder.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        heading = _HEADING.search(text)
        found[file.stem] = Chapter(file.stem, heading[1] if heading else file.stem, text)
    order = re.findall(r"\]\(([a-z0-9-]+)\.md", found["index"].text) if "index" in found else []
    names = [name for name in dict.fromkeys(["index", *order, *found]) if name in found]
    return {name: found[name] for name in names}


@lru_cache(maxsize=1)
def pictures() -> dict[tuple[str, str], Path]:
    """Return every picture by language and name."""
    files = (Path(settings.DOCS) / "images").glob("*/*.webp")
    return {(each.parent.name, each.stem): each for each in files}


def _html(text: str) -> SafeString:
    """Return a page as HTML; links between pages lead to pages of the guide, pictures come from here."""
    rendered = _LINK.sub(
        lambda found: f'href="{reverse("web:guide-page", args=[found[1]])}{found[2] or ""}"',
        str(markdown.render_own(text)),
    )
    rendered = _PICTURE.sub(
        lambda found: f'loading="lazy" src="{reverse("web:guide-picture", args=[found[1], found[2]])}"', rendered
    )
    return mark_safe(rendered)  # noqa: S308  # the parser escaped it; what is put in is an address of ours


@lru_cache(maxsize=4)
def _words(language: str) -> dict[str, set[str]]:
    """Return the words of every page by name."""
    return {
        name: set(terms(chapter.title)) | {term for line in chapter.text.splitlines() for term in terms(line)}
        for name, chapter in chapters(language).items()
    }


def _fitting(language: str, question: str) -> list[Chapter]:
    wanted = asked(question)
    found = []
    for name, chapter in chapters(language).items():
        known = _words(language)[name]
        if all(
            each.term in known or (each.beginning and any(term.startswith(each.term) for term in known))
            for each in wanted
        ):
            found.append(chapter)
    return found


@page(ANY_PERSON)
def guide(request: PageRequest, name: str = "index") -> HttpResponse:
    """Show one page beside the list of all; `q` narrows the list to the pages that have every word."""
    language = _language()
    known = chapters(language)
    chapter = known.get(name)
    if chapter is None:
        raise NotFound(
            "guide.unknown",
            _("The guide has no such page."),
            field="name",
            value=name,
            remedy=_("Open the guide and choose one of the list."),
        )
    question = request.GET.get("q", "").strip()[:100]
    context = {
        "chapter": chapter,
        "body": _html(chapter.text),
        "chapters": _fitting(language, question) if question else list(known.values()),
        "q": question,
    }
    return render(request, "guide/page.html", context)


@page(ANY_PERSON)
def guide_picture(request: PageRequest, language: str, name: str) -> FileResponse:
    """Send one picture of the guide; only those that lie in its folder."""
    file = pictures().get((language, name))
    if file is None:
        raise NotFound(
            "guide.picture_unknown",
            _("The guide has no such picture."),
            field="name",
            value=name,
            remedy=_("Open the guide."),
        )
    answer = FileResponse(file.open("rb"), content_type="image/webp")
    answer["Cache-Control"] = f"private, max-age={_DAY}"
    return answer
