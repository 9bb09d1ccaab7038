"""Every kind that an integration can report is one of the catalogue: with a title, an icon and fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tongchou.inventory.catalogue.everything import KINDS

ROOT = Path(__file__).resolve().parents[2] / "tongchou" / "integrations"
# what adds a resource, and which of its arguments is the kind; `add` of a Book or a Cluster begins with their own word
ADDING = {
    "ObservedResource": 0,
    "Type": 0,
    "gathering.add": 0,
    "_gathering.add": 0,
    "account.add": 0,
    "book.add": 1,
    "self._add": 1,
}


def _called(function: ast.expr) -> str:
    """The last two names of what is called: self.gathering.add is "gathering.add"."""
    if isinstance(function, ast.Attribute):
        of = function.value
        return f"{of.attr if isinstance(of, ast.Attribute) else getattr(of, 'id', '?')}.{function.attr}"
    return getattr(function, "id", "?")


def _words(node: ast.expr) -> list[str]:
    return [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _reported(tree: ast.AST) -> Iterator[str]:
    """Kinds written as such in a call, and the values of tables most of which are kinds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = ADDING.get(_called(node.func))
            if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
                yield from _words(node.args[place])
        elif isinstance(node, ast.Dict) and len(node.values) > 2:
            words = [each.value for each in node.values if isinstance(each, ast.Constant)]
            if len(words) == len(node.values) and sum(each in KINDS for each in words) > len(words) / 2:
                yield from words


def test_what_integrations_report_is_in_the_catalogue() -> None:
    texts = {path: path.read_text() for path in ROOT.rglob("*.py")}
    sources = {path.parent for path, text in texts.items() if "ObservedResource" in text or "Gathering" in text}
    found = {
        (kind, str(path.relative_to(ROOT)))
        for path, text in texts.items()
        if path.parent in sources
        for kind in _reported(ast.parse(text))
    }
    assert {path.split("/")[0] for _kind, path in found} >= {
        "cloud", "docker", "haproxy", "host", "kubernetes", "libvirt", "netbox", "prometheus", "terraform",
    }, "a source reports its kinds in a way that this test does not see"  # fmt: skip
    assert {path for _kind, path in found} >= {
        f"cloud/{each}.py" for each in ("alibaba", "aws", "azure", "google", "huawei", "tencent")
    }
    assert sorted((kind, path) for kind, path in found if kind not in KINDS) == []


def test_a_kind_that_is_not_in_the_catalogue_would_be_seen() -> None:
    tree = ast.parse('KINDS = {"a": "vm", "b": "pod", "c": "balloon"}\nself.gathering.add("kite", name, keys)')
    assert {"balloon", "kite"} <= set(_reported(tree))
