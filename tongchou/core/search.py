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
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from tongchou.core import custom_fields
from tongchou.core.access import Actor, allows_anywhere, system
from tongchou.core.ledger import GAP_SECONDS
from tongchou.core.models import EventAbout
from tongchou.core.models_search import SearchEntry, SearchProgress, SearchTerm
from tongchou.core.nouns import Noun, nouns
from tongchou.core.refs import parse
from tongchou.core.words import Asked, asked, terms

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


def find(actor: Actor, text: str, *, kinds: Sequence[str] | None = None, limit: int = 20) -> list[Hit]:
    """Return the rows that have every word of `text` and that the actor may see, the best first, `limit` a kind.

    Of more than CANDIDATES that fit, the newest in the index are looked at. One query, and one for each kind found.
    """
    wanted = asked(text)
    allowed = {
        noun.kind: noun
        for noun in nouns()
        if (kinds is None or noun.kind in kinds) and allows_anywhere(actor, noun.view)
    }
    if not wanted or not allowed:
        return []
    longest = max(wanted, key=lambda each: (not each.beginning, len(each.term)))
    entries = SearchEntry.objects.filter(kind__in=allowed, pk__in=_having(longest).values("entry_id"))
    for each in wanted:
        if each is not longest:
            entries = entries.filter(Exists(_having(each).filter(entry_id=OuterRef("pk"))))
    hits: dict[str, list[Hit]] = defaultdict(list)
    words, plain = [each.term for each in wanted], text.strip().casefold()
    for entry in entries.order_by("-pk")[:CANDIDATES]:
        hits[entry.kind].append(Hit(entry.ref, entry.kind, entry.title, _score(entry.title, plain, words)))
    found: list[Hit] = []
    for kind, each_kind in hits.items():
        ids = [parse(hit.ref).id for hit in each_kind]
        seen = {str(pk) for pk in allowed[kind].rows(actor).filter(pk__in=ids).order_by().values_list("pk", flat=True)}
        shown = [hit for hit in each_kind if parse(hit.ref).id in seen]
        found += sorted(shown, key=lambda hit: (-hit.score, len(hit.title), hit.title))[:limit]
    return sorted(found, key=lambda hit: (-hit.score, hit.kind, len(hit.title), hit.title))


def _score(title: str, text: str, words: list[str]) -> int:
    """Say how well a title fits: the same, begins so, holds it, holds its words."""
    low = title.casefold()
    if low == text:
        return 1000
    score = 500 if low.startswith(text) else 200 if text in low else 0
    return score + 10 * sum(word in low for word in words)
