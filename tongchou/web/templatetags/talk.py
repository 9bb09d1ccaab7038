"""Filters of comments and files."""

from __future__ import annotations

from django import template
from django.db import models
from django.utils.safestring import SafeString

from tongchou.core.models_talk import Comment
from tongchou.core.refs import ref
from tongchou.web.markdown import render_talk

register = template.Library()


@register.filter
def ref_of(row: models.Model) -> str:
    """Return the Ref of a noun."""
    return ref(row)


@register.filter
def comment_html(comment: Comment) -> SafeString:
    """Return a comment's text as HTML, its mentions marked."""
    return render_talk(comment.text, comment.mentions)
