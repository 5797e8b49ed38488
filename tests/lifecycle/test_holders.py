"""What lies inside something else shares its fate: gone with it, moved along with it, replaced with it, dropped before it."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.component import Lifecycle
from mlinfra.model.resource import Resource
from mlinfra.model.values import Ref


def pair(**server: str) -> tuple[Resource, Resource]:
    return thing("server", **server), thing("table", type="fake.inner", home=Ref("server", ("url",)))


def mutations(lab: Lab) -> list[str]:
    return [line for line in lab.cloud.log if line.split()[0] in ("create", "update", "delete")]


def test_what_lies_in_something_that_is_gone_is_gone_too_and_made_again_in_the_same_apply(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*pair())
    del lab.cloud.things[lab.state.current()["server"].id]
    inner = lab.cloud.things.pop(lab.state.current()["table"].id)
    lab.cloud.things["stranger"] = inner  # whoever answers in the server's place
    made = lab.plan(*pair())
    assert {d.address: d.gone for d in made.plan.drift} == {"server": True, "table": True}
    assert lab.actions(made) == {"server": "create", "table": "create"}
    del lab.cloud.things["stranger"]
    lab.apply(made)
    assert lab.plan(*pair()).plan.is_empty


def test_what_lies_in_something_that_moved_has_moved_along_and_needs_no_change(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*pair())
    server = lab.cloud.things[lab.state.current()["server"].id]
    server.attributes.update(url="fake://elsewhere", status="stopped")
    made = lab.plan(*pair())
    assert {d.address for d in made.plan.drift} == {"server", "table"}
    assert lab.actions(made) == {"server": "update"}


def test_what_lies_in_something_that_is_replaced_is_replaced_with_it_and_never_first(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*pair())
    lab.cloud.log.clear()
    made = lab.plan(*pair(), replace=("server",))
    assert lab.actions(made) == {"server": "replace", "table": "replace"}
    assert next(c for c in made.plan.changes if c.address == "table").reason == "server, in which it lies, is replaced"
    lab.apply(made)
    assert mutations(lab) == ["delete table", "delete server", "create server", "create table"]


def test_what_is_dropped_from_something_that_is_down_is_dropped_after_the_repair(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*pair())
    lab.cloud.things[lab.state.current()["server"].id].attributes["status"] = "stopped"
    lab.cloud.log.clear()
    lab.run(pair()[0])
    assert mutations(lab) == ["update server", "delete table"]


def trio(table: str, **lifecycle: bool) -> tuple[Resource, Resource, Resource]:
    home = Ref("server", ("url",))
    return (
        thing("server"),
        thing("table", type="fake.inner", home=home, name=table, lifecycle=Lifecycle(**lifecycle)),
        thing("pointer", type="fake.pointer", home=home, target=Ref("table", ("name",)), settles_after=("table",)),
    )


def test_a_pointer_moves_over_to_a_successor_that_is_made_beside_the_old_one(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*trio("old"))
    lab.cloud.log.clear()
    made = lab.plan(*trio("new"))
    assert lab.actions(made) == {"table": "replace", "pointer": "update"}
    lab.apply(made)
    assert mutations(lab) == ["create new", "update pointer", "delete old"]
    assert lab.plan(*trio("new")).plan.is_empty


def test_a_pointer_goes_first_where_what_it_points_at_goes_before_its_successor_comes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(*trio("old", create_first=False))
    lab.cloud.log.clear()
    lab.run(*trio("new", create_first=False))
    assert mutations(lab) == ["delete pointer", "delete old", "create new", "create pointer"]


def test_a_pointer_is_gone_with_what_it_points_at_and_its_neighbours_are_not(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    neighbour = thing("neighbour", type="fake.inner", home=Ref("server", ("url",)), depends_on=("table",))
    lab.run(*trio("old"), neighbour)
    del lab.cloud.things[lab.state.current()["table"].id]
    assert {d.address for d in lab.plan(*trio("old"), neighbour).plan.drift} == {"table", "pointer"}
