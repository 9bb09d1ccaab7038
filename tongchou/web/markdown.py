"""People's own text as HTML: CommonMark with tables, and nothing that could run or load: no raw HTML, no image."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from tongchou.core import mentions

LEVELS_DOWN = 3  # a heading of a text is never above those of the page it stands on


class _Renderer(RendererHTML):
    """Links say that they lead away; headings stand below the page's own."""

    def link_open(self, tokens: list[Token], idx: int, options: Any, env: Any) -> str:
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return self.renderToken(tokens, idx, options, env)

    def heading_open(self, tokens: list[Token], idx: int, options: Any, env: Any) -> str:
        tokens[idx].tag = f"h{min(6, int(tokens[idx].tag[1]) + LEVELS_DOWN)}"
        return self.renderToken(tokens, idx, options, env)

    heading_close = heading_open


@cache
def _parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "maxNesting": 20}
    return MarkdownIt("commonmark", options, renderer_cls=_Renderer).enable("table").disable("image")


def render(text: str) -> SafeString:
    """Return HTML that is safe to show: raw HTML comes out as text, javascript: and data: links stay text."""
    return mark_safe(str(_parser().render(text)))  # noqa: S308  # the parser escapes all of it: html is off, its links are validated


@cache
def _own_parser() -> MarkdownIt:
    options = {"html": False, "linkify": False, "maxNesting": 20}
    return MarkdownIt("commonmark", options, renderer_cls=_Renderer).enable("table")


def render_own(text: str) -> SafeString:
    """Return the HTML of a text that came with the platform: like `render`, with its pictures."""
    return mark_safe(str(_own_parser().render(text)))  # noqa: S308  # as above


_PAGES = {"INC": "web:incident", "IMP": "web:improvement"}


def render_talk(text: str, names: Collection[str]) -> SafeString:
    """Return the HTML of a comment: like `render`, with INC-7 and IMP-3 as links and `names` marked."""
    env: dict[str, Any] = {}
    parser = _parser()
    tokens = parser.parse(text, env)
    for token in tokens:
        wanted = {id(each) for each in mentions.plain_texts(token.children or ())}
        if wanted:
            children = token.children or []
            token.children = [
                new for each in children for new in (_cut(each, names) if id(each) in wanted else (each,))
            ]
    return mark_safe(str(parser.renderer.render(tokens, parser.options, env)))  # noqa: S308  # as above; what is added is escaped


def _cut(token: Token, names: Collection[str]) -> list[Token]:
    found = []
    for piece in mentions.pieces(token.content):
        if piece.kind == "name" and piece.value in names:
            found.append(_markup(f'<span class="mention">@{escape(piece.value)}</span>'))
        elif piece.kind == "noun":
            word, _, number = piece.value.partition("-")
            url = reverse(_PAGES[word], args=[int(number)])
            found.append(_markup(f'<a href="{escape(url)}">{escape(piece.value)}</a>'))
        else:
            found.append(Token("text", "", 0, content=piece.text))
    return found


def _markup(html: str) -> Token:
    return Token("html_inline", "", 0, content=html)
