"""The search over every noun: an index that follows the ledger, and questions that show only what the actor may see."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast, Replace, StrIndex, Substr
from django.utils import timezone

from tongchou.core import custom_fields
from tongchou.core.access import Actor, allows_anywhere, system
from tongchou.core.ledger import GAP_SECONDS
from tongchou.core.models import EventAbout
from tongchou.core.models_search import SearchEntry, SearchProgress, SearchTerm
from tongchou.core.nouns import Noun, nouns
from tongchou.core.refs import parse
from tongchou.core.words import NAME_MARK, Asked, asked, name_of, name_term, terms

BATCH = 500
CANDIDATES = 300
TITLE, BODY = 3, 1
PASS_EVERY = timedelta(days=1)  # what no event told (rows of a restore, a definition changed) is found by then
READER = system("search")


@dataclass(frozen=True)
class Hit:
    """One row that fits: its Ref, its kind, what it is called. The higher the score the better it fits."""

    ref: str
    kind: str
    title: str
    score: int


# --- the index ------------------------------------------------------------------------------------------------------


def _document(noun: Noun, row: Any) -> tuple[str, dict[str, int]]:
    """Return what a row is called, and its terms with their weight."""
    title = noun.called(row)
    found = dict.fromkeys(terms(title), TITLE)
    more = [*(noun.words(row) if noun.words else ()), custom_fields.custom_text(row) if noun.custom_fields else ""]
    for term in terms(" ".join(str(each) for each in more if each)):
        found.setdefault(term, BODY)
    found[name_term(name_of(title))] = TITLE
    return title[:300], found


def index_rows(noun: Noun, rows: Iterable[Any]) -> int:
    """Bring the entries of these rows up to date; return how many were written. Three queries when nothing changed."""
    documents = {f"{noun.kind}:{row.pk}": _document(noun, row) for row in rows}
    known = {each.ref: each for each in SearchEntry.objects.filter(ref__in=documents)}
    now, fresh, same = timezone.now(), [], []
    for ref, (title, found) in documents.items():
        digest = hashlib.blake2b(repr((title, sorted(found.items()))).encode(), digest_size=16).hexdigest()
        if ref in known and known[ref].digest == digest:
            same.append(known[ref].pk)
        else:
            fresh.append(SearchEntry(ref=ref, kind=noun.kind, title=title, digest=digest, indexed_at=now))
    with transaction.atomic():
        if same:
            SearchEntry.objects.filter(pk__in=same).update(indexed_at=now)
        if fresh:
            SearchEntry.objects.filter(ref__in=[each.ref for each in fresh]).delete()
            SearchEntry.objects.bulk_create(fresh)
            written = {each.ref: each for each in SearchEntry.objects.filter(ref__in=[each.ref for each in fresh])}
            SearchTerm.objects.bulk_create(
                (
                    SearchTerm(entry=written[each.ref], term=term.encode(), weight=weight)
                    for each in fresh
                    for term, weight in documents[each.ref][1].items()
                ),
                batch_size=2000,
            )
    return len(fresh)


def _index_refs(refs: Iterable[str]) -> None:
    by_kind: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        parsed = parse(ref)
        by_kind[f"{parsed.room}.{parsed.noun}"].append(parsed.id)
    known = {noun.kind: noun for noun in nouns()}
    for kind, ids in by_kind.items():
        if kind in known:
            noun = known[kind]
            rows = _rows(noun, ids)
            index_rows(noun, rows)
            gone = set(ids) - {str(row.pk) for row in rows}
            SearchEntry.objects.filter(ref__in=[f"{kind}:{each}" for each in gone]).delete()


def _rows(noun: Noun, ids: Sequence[str]) -> list[Any]:
    try:
        return list(noun.rows(READER).filter(pk__in=ids).order_by())
    except (ValueError, ValidationError):
        return []


def follow() -> int:
    """Index what the ledger told since the last time; return how many refs were looked at.

    An event may be committed up to GAP_SECONDS after it was recorded, so that much is looked at again. A periodic job
    calls it; two at once do the same twice and harm nothing.
    """
    now = timezone.now()
    state, _made = SearchProgress.objects.get_or_create(pk=1, defaults={"followed_to": now})
    since = (state.followed_to or now) - timedelta(seconds=GAP_SECONDS)
    prefixes = tuple(f"{noun.kind}:" for noun in nouns())
    told = EventAbout.objects.filter(event__recorded_at__gte=since).values_list("ref", flat=True).distinct()
    refs = [ref for ref in told.iterator(chunk_size=2000) if ref.startswith(prefixes)]
    for start in range(0, len(refs), BATCH):
        _index_refs(refs[start : start + BATCH])
    SearchProgress.objects.filter(pk=1).update(followed_to=now)
    return len(refs)


def go_on(batches: int = 4) -> bool:
    """Go on with the pass over all rows, a few batches; return whether it is over. Begins anew after PASS_EVERY."""
    now = timezone.now()
    state, _made = SearchProgress.objects.get_or_create(pk=1, defaults={"followed_to": now})
    if state.pass_ended_at is not None and now - state.pass_ended_at < PASS_EVERY:
        return True
    if state.pass_started_at is None or state.pass_ended_at is not None:
        state.pass_started_at, state.pass_kind, state.pass_after, state.pass_ended_at = now, "", "", None
    kinds = [noun for noun in nouns() if noun.kind >= state.pass_kind]
    for noun in kinds:
        after = state.pass_after if noun.kind == state.pass_kind else ""
        while batches > 0:
            batches -= 1
            rows = noun.rows(READER).order_by("pk")
            found = list((rows.filter(pk__gt=after) if after else rows)[:BATCH])
            index_rows(noun, found)
            after = str(found[-1].pk) if found else ""
            state.pass_kind, state.pass_after = noun.kind, after
            state.save()
            if len(found) < BATCH:
                break
        else:
            return False
    SearchEntry.objects.filter(indexed_at__lt=state.pass_started_at or now).delete()  # rows that are gone
    state.pass_ended_at = timezone.now()
    state.save()
    return True


# --- questions ------------------------------------------------------------------------------------------------------


def _having(each: Asked) -> QuerySet[SearchTerm]:
    term = each.term.encode()
    found = SearchTerm.objects.all()
    if each.beginning:
        return found.filter(term__gte=term, term__lt=term + b"\xff")
    return found.filter(term=term)


def _visible(actor: Actor, allowed: dict[str, Noun]) -> QuerySet[SearchEntry]:
    """Return the entries whose row is there and the actor's to see: asked before anything is cut. Nouns have UUIDs."""
    id_ = Replace(Substr("ref", StrIndex("ref", Value(":")) + 1), Value("-"), Value(""))
    shown = Q()
    for kind, noun in allowed.items():
        shown |= Q(kind=kind) & Q(Exists(noun.rows(actor).order_by().filter(pk=OuterRef("row_id"))))
    return SearchEntry.objects.alias(row_id=Cast(id_, UUIDField())).filter(shown)


def _called(entries: QuerySet[SearchEntry], name: str) -> QuerySet[SearchEntry]:
    """Return the entries whose name begins so, the name itself first: read in the order of the index."""
    start = name_term(name)
    term = start.encode()
    found = entries.filter(terms__term__gte=term, terms__term__lt=term + b"\xff")
    if start != NAME_MARK + name:  # cut: what comes after the cut is compared in the names themselves
        found = found.filter(title__istartswith=name)
    return found.order_by("terms__term", "-terms__entry_id")


def _having_all(entries: QuerySet[SearchEntry], wanted: list[Asked]) -> QuerySet[SearchEntry]:
    """Return the entries that have every word, the newest first."""
    longest = max(wanted, key=lambda each: (not each.beginning, len(each.term)))
    found = entries.filter(pk__in=_having(longest).values("entry_id"))
    for each in wanted:
        if each is not longest:
            found = found.filter(Exists(_having(each).filter(entry_id=OuterRef("pk"))))
    return found.order_by("-pk")


def _first(entries: QuerySet[SearchEntry], kinds: Iterable[str], limit: int) -> dict[str, dict[str, str]]:
    """Return the titles of the first entries by kind and ref: `limit` of each kind that has so many, or all.

    One query, and one more each time that kinds with enough left no room for the others.
    """
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
    left = set(found)
    while left:
        cut = max(CANDIDATES, limit * len(left))  # so at least one kind has enough when the cut is full
        read = list(entries.filter(kind__in=left).values_list("kind", "ref", "title")[:cut])
        for kind, ref, title in read:
            found[kind][ref] = title
        if len(read) < cut:
            break
        left = {kind for kind in left if len(found[kind]) < limit}
    return found


def find(actor: Actor, text: str, *, kinds: Sequence[str] | None = None, limit: int = 20) -> list[Hit]:
    """Return the rows that have every word of `text` and that the actor may see, the best first, `limit` a kind.

    A name that is or begins like `text` is found whatever else fits; of the rest, the newest CANDIDATES are ranked.
    Two queries (what a noun asks to know who sees it aside), and one more each time that a full kind hid others.
    """
    wanted = asked(text)
    allowed = {
        noun.kind: noun
        for noun in nouns()
        if (kinds is None or noun.kind in kinds) and allows_anywhere(actor, noun.view)
    }
    if not wanted or not allowed:
        return []
    words, name, entries = [each.term for each in wanted], name_of(text), _visible(actor, allowed)
    named = _first(_called(entries, name), allowed, limit)
    open_kinds = [kind for kind in allowed if len(named[kind]) < limit]  # a name that begins so is ahead of all others
    fitting = _first(_having_all(entries, wanted), open_kinds, limit)
    found: list[Hit] = []
    for kind in allowed:
        titles = named[kind] | fitting.get(kind, {})
        hits = [Hit(ref, kind, title, _score(name_of(title), name, words)) for ref, title in titles.items()]
        found += sorted(hits, key=_rank)[:limit]
    return sorted(found, key=_rank)


def _rank(hit: Hit) -> tuple[int, str, int, str]:
    return -hit.score, hit.kind, len(hit.title), hit.title


def _score(name: str, asked_name: str, words: list[str]) -> int:
    """Say how well a name fits: the same, begins so, holds it, holds its words."""
    if name == asked_name:
        return 1000
    score = 500 if name.startswith(asked_name) else 200 if asked_name in name else 0
    return score + 10 * sum(word in name for word in words)
