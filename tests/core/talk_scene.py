"""Two people, a team, a resource of theirs and one of nobody's, for tests of working together."""

from __future__ import annotations

from dataclasses import dataclass

from tongchou.core import people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Membership, Role, Team, User
from tongchou.core.refs import ref
from tongchou.inventory import actions as inventory

TESTS = system("tests")


@dataclass(frozen=True)
class Scene:
    """`anna` and `ben` are operators everywhere; `cora` only in the team `blue`, `dora` only in `red`."""

    anna: User
    ben: User
    cora: User
    dora: User
    blue: Team
    red: Team
    on: str  # of nobody's
    blues: str  # of blue's

    def as_(self, user: User) -> Actor:
        """The actor of a person, as they are now."""
        return actor_for_user(User.objects.get(pk=user.pk))


def _person(name: str, role: Role | None) -> User:
    """Without a password: hashing one takes longer than a test."""
    return people.create_user(actor=TESTS, username=name, password=None, role=role)


def set_up() -> Scene:
    """Make them."""
    anna, ben = (_person(name, Role.OPERATOR) for name in ("anna", "ben"))
    cora, dora = (_person(name, None) for name in ("cora", "dora"))
    blue, red = (people.create_team(actor=TESTS, name=name) for name in ("Team Blue", "red"))
    Membership.objects.create(user=cora, team=blue, role=Role.OPERATOR)
    Membership.objects.create(user=dora, team=red, role=Role.OPERATOR)
    free = inventory.create_resource(actor=TESTS, kind="service", name="free")
    owned = inventory.create_resource(actor=TESTS, kind="service", name="archive", owner=blue)
    return Scene(anna, ben, cora, dora, blue, red, ref(free), ref(owned))
