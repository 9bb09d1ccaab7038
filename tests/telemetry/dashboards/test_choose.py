"""The options of variables, in their order, and what is chosen of them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tongchou.core.problems import Invalid
from tongchou.telemetry.dashboards.choose import MatcherSets, Options, choose, options_of, ordered, resolve
from tongchou.telemetry.dashboards.definition import Definition, Variable
from tongchou.telemetry.dashboards.substitute import Scope
from tongchou.telemetry.dashboards.words import ALL


class Shop:
    """A source that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def label_values(self, label: str, sets: MatcherSets) -> list[str]:
        self.asked.append(f"{label}{[[(m.name, m.op, m.value) for m in each] for each in sets]}")
        found = {"job": ["api", "web"], "__name__": ["node_load1", "up"]}
        return found.get(label, ["b:9100", "a10:9100", "a2:9100"])

    def label_names(self, sets: MatcherSets) -> list[str]:
        return ["instance", "job"]

    def query_result(self, expr: str) -> list[str]:
        return [f'up{{job="api"}} 1 {len(expr)}', 'up{job="web"} 0 7']


def values(variable: Variable, scope: Scope | None = None) -> list[str]:
    found = options_of(variable, scope or Scope(), Shop())
    assert found.problem is None
    return [value for _text, value in found.items]


def test_queries_of_variables() -> None:
    assert values(Variable("v", query="label_values(job)")) == ["api", "web"]
    assert values(Variable("v", query='label_values(up{a="b,c"}, job)')) == ["api", "web"]
    assert values(Variable("v", query="metrics(node_.*)")) == ["node_load1"]
    assert values(Variable("v", query="label_names()")) == ["instance", "job"]
    assert values(Variable("v", query="query_result(up)", regex='/job="(.*)"/')) == ["api", "web"]
    for bad in ("up", "label_values(up{, job)", "label_values(sum(up), job)", "label_values(a b)", ""):
        assert options_of(Variable("v", query=bad), Scope(), Shop()).problem is not None


def test_patterns_cut_names_and_values_out() -> None:
    query = "label_values(instance)"
    assert values(Variable("v", query=query, regex="/a(.*):.*/")) == ["10", "2"]
    named = options_of(Variable("v", query=query, regex="/(?<text>a.*):(?<value>.*)/"), Scope(), Shop())
    assert named.items == (("a10", "9100"),)  # one value is offered once
    assert values(Variable("v", query=query, regex="/^A/i")) == ["a", "a"][:1]
    problem = options_of(Variable("v", query=query, regex="(?!x)"), Scope(), Shop()).problem
    assert problem is not None
    assert problem.code == "dashboard.variable_regex"


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("", ["b:9100", "a10:9100", "a2:9100"]),
        ("name", ["a10:9100", "a2:9100", "b:9100"]),
        ("-name", ["b:9100", "a2:9100", "a10:9100"]),
        ("number", ["a2:9100", "a10:9100", "b:9100"]),
    ],
)
def test_sorted(sort: str, wanted: Sequence[str]) -> None:
    assert values(Variable("v", query="label_values(instance)", sort=sort)) == wanted


def test_variables_that_name_others_come_after_them_and_follow_them() -> None:
    instance = Variable("instance", query='label_values(up{job="$job"}, instance)')
    job = Variable("job", query="label_values(job)")
    assert [each.name for each in ordered([instance, job])] == ["job", "instance"]
    shop = Shop()
    found = Definition(variables=(instance, job))
    chosen, options = resolve(found, {"job": ["web"]}, Scope(), shop)
    assert chosen["job"].values == ("web",)
    assert chosen["instance"].values == ("b:9100",)
    assert "('job', '=', 'web')" in shop.asked[-1]
    assert options["instance"].count == 3
    with pytest.raises(Invalid, match="a"):
        ordered([Variable("a", query="label_values(x{y='$b'}, z)"), Variable("b", query="label_values(x{y='$a'}, z)")])


def test_what_is_chosen() -> None:
    items = (("Api", "api"), ("Web", "web"))
    one, many = Variable("v"), Variable("v", multi=True, all=True)
    assert choose(one, items, None).values == ("api",)
    assert choose(one, items, ["web", "api"]).values == ("web",)
    assert choose(one, items, ["gone"]).values == ("gone",)  # the address is not changed behind one's back
    assert choose(Variable("v", value=("web",)), items, None).values == ("web",)
    assert choose(Variable("v", value=("gone",)), items, None).values == ("api",)
    assert choose(one, items, [ALL]).values == ("api",)
    assert choose(many, items, None).every
    assert choose(many, items, ["api", ALL]).values == ("api", "web")
    assert choose(many, items, ["web"]).texts == ("Web",)
    assert choose(many, items, [""]).values == ("",)
    assert choose(Variable("v", "constant", query="x"), (), ["y"]).values == ("x",)
    assert choose(Variable("v", "textbox", query="x"), (), None).values == ("x",)
    assert choose(Variable("v", "textbox", query="x"), (), ["y"]).values == ("y",)


def test_an_option_that_cannot_be_had_is_told_and_the_rest_goes_on() -> None:
    found = Definition(variables=(Variable("bad", query="nonsense"), Variable("good", query="label_values(job)")))
    chosen, options = resolve(found, {"bad": ["x"]}, Scope(), Shop())
    assert isinstance(options["bad"], Options)
    assert options["bad"].problem is not None
    assert chosen["bad"].values == ("x",)
    assert chosen["good"].values == ("api",)
