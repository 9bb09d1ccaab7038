"""Two sources and a person write at the same time: one resource for one identity, and nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from tongchou.core.access import system
from tongchou.core.models import Event
from tongchou.inventory import actions, sources
from tongchou.inventory.models import Identity, Resource, Sighting, SourceConfig
from tongchou.inventory.observation import Observation, ObservedResource, service_key

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]
ACTOR = system("tests")
NAMES = [f"s{i}" for i in range(20)]


def together(*works: Callable[[], object]) -> list[BaseException]:
    """Run each in a thread of its own, all from the same moment; return what they raised."""
    start, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], object]) -> None:
        try:
            start.wait(20)
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_one_identity_is_one_resource_whoever_sees_it_first() -> None:
    configs = [SourceConfig.objects.create(name=f"sd{i}", kind="x", precedence=100 + i) for i in range(3)]

    def sync(config: SourceConfig) -> Callable[[], object]:
        seen = Observation(
            tuple(
                ObservedResource("service", name, (service_key(name), f"{config.name}:{name}"), {"by": config.name})
                for name in NAMES
            )
        )
        return lambda: sources.apply_sync(actor=ACTOR, source=config, observation=seen)

    def person() -> None:
        for name in NAMES[:5]:
            actions.service(actor=ACTOR, name=name)

    works = [sync(config) for config in configs]
    assert together(*works, person) == []
    for work in works:  # a source that lost every race sees the rest at its next turn
        work()
    assert Resource.objects.count() == len(NAMES)
    assert Identity.objects.filter(key__startswith="service:").count() == len(NAMES)
    assert Sighting.objects.exclude(source="manual").count() == 3 * len(NAMES)
    assert Event.objects.filter(verb="resource.created").count() == len(NAMES)


def test_the_same_source_run_twice_at_once_tells_everything_once() -> None:
    config = SourceConfig.objects.create(name="sd", kind="x")
    seen = Observation(tuple(ObservedResource("host", name, (f"h:{name}",)) for name in NAMES))
    work = lambda: sources.apply_sync(actor=ACTOR, source=config, observation=seen)  # noqa: E731
    assert together(work, work, work) == []
    assert Resource.objects.count() == Sighting.objects.count() == len(NAMES)
    assert Event.objects.filter(verb="resource.created").count() == len(NAMES)
    assert Event.objects.filter(verb="source.synced").count() == 1
