"""Words: Chinese pairs, names of code, and that whatever is part of a text is found in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.core.words import MAX_TERM_BYTES, asked, terms

HAN = st.text(alphabet="订单服务数据库主从切换支付网关超时", min_size=1, max_size=12)
NAMES = st.text(alphabet="abcXYZ019-_.", min_size=1, max_size=20)


def fits(question: str, text: str) -> bool:
    known = terms(text)
    return all(
        any(term.startswith(each.term) if each.beginning else term == each.term for term in known)
        for each in asked(question)
    )


@given(HAN, st.data())
def test_every_part_of_a_chinese_run_finds_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert fits(text[start:end], f"事件 {text} x")


@given(NAMES)
def test_a_name_finds_itself_and_its_beginning(name: str) -> None:
    assert fits(name, f"host {name} here")
    if name[-1].isalnum() and name[0].isalnum():
        assert fits(name[:-1], f"host {name} here") or not name[:-1].strip("-_.")


@pytest.mark.parametrize(
    ("question", "text"),
    [("order", "OrderService"), ("service", "OrderService"), ("orderserv", "OrderService"), ("web-01", "web-01.prod.example"),
     ("prod", "web-01.prod.example"), ("01", "web-01.prod.example"), ("db_pri", "db_primary"), ("订单", "核心订单服务"), ("单服", "核心订单服务"),
     ("务", "核心订单服务"), ("订单 timeout", "订单服务 timeouts"), ("ＷＥＢ", "web-1"), ("HTTPServer", "HTTPServer"), ("server", "HTTPServer"),
     ("INC-7", "INC-7 订单服务变慢"), ("Überwachung", "überwachung"), ("10.0.0.1", "10.0.0.1:9100")],
)  # fmt: skip
def test_what_people_type_finds_what_they_mean(question: str, text: str) -> None:
    assert fits(question, text)


@pytest.mark.parametrize(
    ("question", "text"), [("订务", "订单服务"), ("webb", "web-1"), ("INC-7", "INC-77"), ("order x", "order")]
)
def test_what_is_not_there_is_not_found(question: str, text: str) -> None:
    if question == "INC-7":
        assert fits(question, text)  # the last word may go on; the whole name comes first by its score
    else:
        assert not fits(question, text)


@given(st.text(max_size=300))
def test_whatever_is_written_has_bounded_terms(text: str) -> None:
    for term in [*terms(text), *(each.term for each in asked(text))]:
        assert 0 < len(term.encode()) <= MAX_TERM_BYTES
