"""The resource list at 100,000 rows: the page as a browser gets it, and the API, each with its filters."""

from __future__ import annotations

import os
import tempfile

from bench.graph import report

RESOURCES, READS = 100_000, 15
KINDS = ("host", "instance", "service", "disk", "interface")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tongchou-bench-") as folder:
        os.environ["TONGCHOU_DATA"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tongchou.settings")
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        fill()
        try:
            run()
        finally:
            connection.close()


def fill() -> None:
    from django.db import connection

    from tongchou.core.models import Team
    from tongchou.inventory.models import Resource, ResourceLabel, Sighting

    team = Team.objects.create(name="shop")
    rows = [
        Resource(
            kind=KINDS[i % 5],
            name=f"node-{i % 977:03d}-{i}",
            source="bench",
            labels={"env": "prod" if i % 3 else "test", "rack": f"r{i % 200}"},
            owner=team if i % 10 == 0 else None,
        )
        for i in range(RESOURCES)
    ]
    Resource.objects.bulk_create(rows, batch_size=2000)
    ResourceLabel.objects.bulk_create(
        [ResourceLabel(resource=row, name=n, value=v, source="bench") for row in rows for n, v in row.labels.items()],
        batch_size=2000,
    )
    Sighting.objects.bulk_create([Sighting(resource=row, source="bench") for row in rows], batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def run() -> None:
    from django.db import connection
    from django.test import Client

    from tongchou.core import people
    from tongchou.core.access import system
    from tongchou.core.models import Role

    user = people.create_user(
        actor=system("bench"), username="bench", password="a long bench password", role=Role.ADMIN
    )
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    queries = {
        "all": "",
        "one kind": "kind=host",
        "part of a name": "q=977",
        "a rare label": "label=rack%3Dr7",
        "a common label": "label=env%3Dprod",
        "one owner": "owner=shop",
    }
    print(f"{RESOURCES:,} resources, {connection.vendor}; a page or 100 rows, rendered, with every check")
    for where, path in (("page", "/resources"), ("API", "/api/v1/resources")):
        for name, query in queries.items():
            url = f"{path}?{query}"

            def get(_: int, url: str = url) -> None:
                answer = client.get(url)
                assert answer.status_code == 200, (url, answer.status_code)

            report(f"{where}: {name}", get, READS)
    print(f"size of the page: {len(client.get('/resources').content) / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
