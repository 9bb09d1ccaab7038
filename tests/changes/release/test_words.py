"""Reasons of releases as sentences."""

from __future__ import annotations

from django.utils import translation

from tongchou.changes.release.words import SENTENCES, sentence


def test_every_reason_is_a_sentence_whatever_is_missing() -> None:
    with translation.override("en"):
        for code in SENTENCES:
            text = sentence({"code": code, "params": {}})
            assert text == "" or "%(" not in text
        assert sentence({}) == ""
        assert sentence({"code": "never heard of"}) == "never heard of"


def test_what_a_person_did_reads_with_a_comment_and_without() -> None:
    with translation.override("en"):
        assert sentence({"code": "by_person", "params": {"by": "ops", "comment": "slow"}}) == "ops: slow"
        assert sentence({"code": "by_person", "params": {"by": "ops"}}) == "By ops."
