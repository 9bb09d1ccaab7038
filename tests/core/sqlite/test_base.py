from __future__ import annotations

import threading
import time

import pytest
from django.db import connection, transaction

from tongchou.core.models import Team
from tongchou.core.sqlite.base import FairLock


def test_the_lock_is_granted_in_order_of_arrival() -> None:
    lock, order, threads = FairLock(), [], []
    assert lock.acquire(1)

    def wait(name: int) -> None:
        assert lock.acquire(10)
        order.append(name)
        lock.release()

    for name in range(8):
        thread = threading.Thread(target=wait, args=(name,))
        thread.start()
        threads.append(thread)
        while len(lock._waiting) < name + 1:
            time.sleep(0.001)
    lock.release()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_a_wait_that_times_out_leaves_the_queue() -> None:
    lock = FairLock()
    assert lock.acquire(1)
    assert not lock.acquire(0.02)
    lock.release()
    assert lock.acquire(0.1)


@pytest.mark.django_db(transaction=True)
def test_many_writers_all_get_their_turn_and_lose_nothing() -> None:
    def write(name: int) -> None:
        for i in range(10):
            with transaction.atomic():
                Team.objects.create(name=f"{name}-{i}")
        connection.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Team.objects.count() == 80


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_fails_gives_the_turn_on() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        Team.objects.create(name="rolled back")
        raise ZeroDivisionError
    with transaction.atomic():
        Team.objects.create(name="next")
    assert list(Team.objects.values_list("name", flat=True)) == ["next"]
