"""Rows of a form without a script: what a problem says about a cell, in the words and at the place a person sees."""

from __future__ import annotations

from tongchou.web.row_grids import Col, field_words, wrong_input

COLUMNS = {"load": (Col("metric", "Metric"), Col("value", "Value", number=True))}
TITLES = {"load": "Expected load", "budget": "Budget", "structure": "Outline"}


def test_the_field_of_a_problem_reads_as_the_page_calls_it() -> None:
    assert field_words("load[0].value", TITLES, COLUMNS) == "Expected load 1, Value"
    assert field_words("load[2]", TITLES, COLUMNS) == "Expected load 3"
    assert field_words("structure[4]", TITLES, COLUMNS) == "Outline 4"  # a line, counted from 1
    assert field_words("budget", TITLES, COLUMNS) == "Budget"
    assert field_words("load[0].other", TITLES, COLUMNS) == "Expected load 1, other"
    assert field_words("unheard_of", TITLES, COLUMNS) == "unheard_of"
    assert field_words(None, TITLES, COLUMNS) == ""


def test_the_input_of_a_problem_is_the_one_of_its_cell() -> None:
    assert wrong_input("load[1].value") == "load-1-value"
    assert wrong_input("budget") == "budget"
    assert wrong_input(None) == ""
