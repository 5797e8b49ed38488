"""What cannot change in place is replaced, in an order that never breaks a dependent."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.component import Lifecycle
from mlinfra.model.values import Ref
from mlinfra.provider.failures import Invalid


def mutations(lab: Lab) -> list[str]:
    return [line for line in lab.cloud.log if line.split()[0] in ("create", "update", "delete")]


def test_an_immutable_attribute_forces_replacement_and_the_plan_cites_who_says_so(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", name="old"))
    made = lab.plan(thing("a", name="new"))
    change = made.plan.changes[0]
    assert change.action.value == "replace" and "name in fake.thing" in change.reason
    assert made.plan.counts() == {"add": 1, "destroy": 1}
    lab.cloud.log.clear()
    lab.apply(made)
    assert mutations(lab) == ["delete old", "create new"]


def test_create_first_makes_the_new_one_then_moves_dependents_then_deletes_the_old(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("c", type="fake.config", name="c1", value=1), thing("user", value=Ref("c", ("url",))))
    lab.cloud.log.clear()
    lab.run(thing("c", type="fake.config", name="c2", value=2), thing("user", value=Ref("c", ("url",))))
    assert mutations(lab) == ["create c2", "update user", "delete c1"]


def test_create_first_can_be_asked_for(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    first = Lifecycle(create_first=True)
    lab.run(thing("a", name="one", lifecycle=first))
    lab.cloud.log.clear()
    lab.run(thing("a", name="two", lifecycle=first))
    assert mutations(lab) == ["create two", "delete one"]


def test_what_a_create_first_replacement_needs_is_created_first_as_well(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    first = Lifecycle(create_first=True)
    lab.run(thing("base", name="b1"), thing("top", name="t1", value=Ref("base", ("url",)), lifecycle=first))
    lab.cloud.log.clear()
    lab.run(thing("base", name="b2"), thing("top", name="t2", value=Ref("base", ("url",)), lifecycle=first))
    assert mutations(lab) == ["create b2", "create t2", "delete t1", "delete b1"]


def test_a_replaced_pair_is_deleted_dependents_first_and_created_in_order(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("base", name="b1"), thing("top", name="t1", value=Ref("base", ("url",))))
    lab.cloud.log.clear()
    lab.run(thing("base", name="b2"), thing("top", name="t2", value=Ref("base", ("url",))))
    assert mutations(lab) == ["delete t1", "delete b1", "create b2", "create t2"]


def test_an_old_object_that_could_not_be_deleted_is_remembered_and_deleted_next_time(tmp_path: Path) -> None:
    from mlinfra.provider.failures import Denied

    lab = Lab(tmp_path)
    lab.run(thing("c", type="fake.config", name="c1"))

    def refuse(operation: str, name: str) -> None:
        if operation == "delete":
            raise Denied("not today")

    lab.cloud.before = refuse
    outcome = lab.apply(lab.plan(thing("c", type="fake.config", name="c2")))
    assert len(outcome.failures) == 1 and "not today" in outcome.failures[0].message
    assert lab.cloud.names() == ["c1", "c2"] and len(lab.state.resources) == 2
    lab.cloud.before = None
    made = lab.plan(thing("c", type="fake.config", name="c2"))
    assert list(lab.actions(made).values()) == ["delete"]
    lab.apply(made)
    assert lab.cloud.names() == ["c2"] and lab.plan(thing("c", type="fake.config", name="c2")).plan.is_empty


def test_a_create_first_replacement_that_is_refused_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    from mlinfra.provider.failures import Quota

    lab = Lab(tmp_path)
    lab.run(thing("c", type="fake.config", name="c1"))

    def refuse(operation: str, name: str) -> None:
        if operation == "create":
            raise Quota("no more configs")

    lab.cloud.before = refuse
    lab.apply(lab.plan(thing("c", type="fake.config", name="c2")))
    lab.cloud.before = None
    assert lab.state.get("c").attributes["name"] == "c1"  # type: ignore[union-attr]
    assert lab.plan(thing("c", type="fake.config", name="c1")).plan.is_empty


def test_replace_can_be_asked_for(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    made = lab.plan(thing("a"), replace=("a",))
    assert lab.actions(made) == {"a": "replace"}


def test_a_changed_trigger_replaces(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", lifecycle=Lifecycle(replace_when=(1,))))
    assert lab.plan(thing("a", lifecycle=Lifecycle(replace_when=(1,)))).plan.is_empty
    assert lab.actions(lab.plan(thing("a", lifecycle=Lifecycle(replace_when=(2,))))) == {"a": "replace"}


def test_the_alias_settles_after_everything_that_depends_on_what_it_points_to(tmp_path: Path) -> None:
    lab = Lab(tmp_path)

    def stack(name: str) -> tuple[object, ...]:
        return (
            thing("alias", value=Ref("c", ("name",)), settles_after=("c",)),
            thing("c", type="fake.config", name=name),
            thing("fill", value=Ref("c", ("name",))),
        )

    lab.run(*stack("c1"))  # type: ignore[arg-type]
    lab.cloud.log.clear()
    lab.run(*stack("c2"))  # type: ignore[arg-type]
    assert mutations(lab) == ["create c2", "update fill", "update alias", "delete c1"]


def test_two_of_one_name_cannot_stand_side_by_side_so_the_old_one_goes_first(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("c", type="fake.config", name="same", value=1))
    lab.cloud.log.clear()
    lab.run(thing("c", type="fake.config", name="same", value=2))
    assert mutations(lab) == ["delete same", "create same"]


def test_what_depends_on_something_that_cannot_be_created_first_gives_way(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    first = Lifecycle(create_first=True)
    lab.run(
        thing("base", type="fake.config", name="b", value=1),
        thing("top", name="t1", value=Ref("base", ("url",)), lifecycle=first),
    )
    lab.cloud.log.clear()
    lab.run(
        thing("base", type="fake.config", name="b", value=2),
        thing("top", name="t2", value=Ref("base", ("url",)), lifecycle=first),
    )
    assert mutations(lab) == ["delete t1", "delete b", "create b", "create t2"]


def test_what_is_replaced_stands_until_what_its_successor_needs_is_made(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    image = {"type": "fake.config"}
    lab.run(thing("image", name="i1", value=1, **image), thing("web", name="w1", value=Ref("image", ("url",))))
    successors = (thing("image", name="i2", value=2, **image), thing("web", name="w2", value=Ref("image", ("url",))))

    def refuse(operation: str, who: str) -> None:
        if (operation, who) == ("create", "i2"):
            raise Invalid("it cannot be built")

    lab.cloud.before = refuse
    lab.run(*successors)
    assert lab.cloud.names() == ["i1", "w1"]
    lab.cloud.before = None
    lab.cloud.log.clear()
    lab.run(*successors)
    assert mutations(lab) == ["create i2", "delete w1", "create w2", "delete i1"]
