"""The index of the search: one entry a row, its terms as bytes, so that both databases find how a word begins."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class SearchEntry(models.Model):
    """What one row is called and when it was read last. `digest`: of its terms; the same is not written again."""

    id = models.BigAutoField(primary_key=True)
    ref = models.CharField(max_length=140, unique=True)
    kind = models.CharField(max_length=60, db_index=True)
    title = models.CharField(max_length=300)
    digest = models.CharField(max_length=32)
    indexed_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.title


class SearchTerm(models.Model):
    """One term of an entry: UTF-8, compared byte by byte. `weight`: 3 in the title, 1 elsewhere."""

    id = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(SearchEntry, on_delete=models.CASCADE, related_name="terms")
    term = models.BinaryField(max_length=60)
    weight = models.PositiveSmallIntegerField(default=1)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["term", "entry"], name="core_search_term"),
            models.Index(fields=["entry", "term"], name="core_search_entry"),
        ]

    def __str__(self) -> str:
        return bytes(self.term).decode(errors="replace")


class SearchProgress(models.Model):
    """How far the index has followed the ledger, and where a pass over all rows stands. One row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    followed_to = models.DateTimeField(null=True, blank=True)
    pass_started_at = models.DateTimeField(null=True, blank=True)
    pass_kind = models.CharField(max_length=60, blank=True, default="")
    pass_after = models.CharField(max_length=64, blank=True, default="")
    pass_ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.followed_to} {self.pass_kind}"
