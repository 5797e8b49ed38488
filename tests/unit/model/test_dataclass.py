"""Our ``dataclass`` does what the standard library's does."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from mlinfra.model.change import Change
from mlinfra.model.dataclass import dataclass, filler, maker, replace
from mlinfra.model.diagnostic import Span
from mlinfra.model.events import Notice
from mlinfra.model.values import Ref

OPTIONS = [
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "slots": True},
    {"slots": True},
    {"slots": True, "kw_only": True},
]


def both(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    return make(dataclass), make(dataclasses.dataclass)


def point(options: dict[str, bool]) -> Callable[[Any], Any]:
    def make(decorate: Any) -> Any:
        @decorate(**options)
        class Point:
            """A place."""

            x: int
            y: int = 2
            tags: list[str] = dataclasses.field(default_factory=list)
            note: str = dataclasses.field(default="", compare=False, repr=False)

            def length(self) -> int:
                return self.x + self.y

        return Point

    return make


@dataclass(frozen=True, slots=True)
class Base:
    x: int


@dataclass(frozen=True, slots=True)
class Longer(Base):
    y: int = 0


@pytest.mark.parametrize("options", OPTIONS, ids="-".join)
def test_it_makes_what_the_standard_library_makes(options: dict[str, bool]) -> None:
    ours, theirs = both(point(options))
    one, other = ours(x=1), theirs(x=1)
    assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys()
    assert [p.kind for p in inspect.signature(ours).parameters.values()] == [
        p.kind for p in inspect.signature(theirs).parameters.values()
    ]
    assert [f.name for f in dataclasses.fields(ours)] == [f.name for f in dataclasses.fields(theirs)]
    assert ours.__match_args__ == theirs.__match_args__
    assert hasattr(ours, "__slots__") == hasattr(theirs, "__slots__")
    assert repr(one) == repr(other) and dataclasses.asdict(one) == dataclasses.asdict(other)
    assert one == ours(x=1, note="not compared") and one != ours(x=2) and one != other
    assert one.tags is not ours(x=1).tags and one.length() == 3
    assert dataclasses.replace(one, y=5).length() == 6
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    for wrong in ({}, {"x": 1, "z": 1}):
        with pytest.raises(TypeError):
            ours(**wrong)


def test_what_is_frozen_stays_and_can_be_copied() -> None:
    ref = Ref("a", ("b",))
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'address'"):
        ref.address = "c"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del ref.address
    assert pickle.loads(pickle.dumps(ref)) == ref == copy.copy(ref) == copy.deepcopy(ref)
    assert hash(ref) == hash(Ref("a", ("b",))) and len({ref, Ref("a", ("b",))}) == 1


def test_a_method_that_a_class_writes_itself_stays() -> None:
    @dataclass(frozen=True, slots=True)
    class Quiet:
        x: int

        def __repr__(self) -> str:
            return "quiet"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    assert repr(Quiet(1)) == "quiet" and Quiet(1) == Quiet(2) and hash(Quiet(1)) == 7


def test_a_class_inherits_fields() -> None:
    assert repr(Longer(1, 2)).endswith("Longer(x=1, y=2)") and Longer(1) != Base(1)
    assert Notice(message="a") == Notice(message="a") and "Change" in Change.__init__.__qualname__


@pytest.mark.parametrize("made", [Ref("a", ("b",)), Span("a.yaml", 1, 2)], ids=["few fields", "many fields"])
def test_what_is_made_and_what_is_replaced_is_frozen_and_of_its_class(made: Any) -> None:
    name = dataclasses.fields(made)[0].name
    changed = replace(made, **{name: "c"})
    assert changed == dataclasses.replace(made, **{name: "c"}) and getattr(made, name) != "c"
    for one in (made, changed):
        assert type(one) in (Ref, Span) and hash(one) == hash(copy.copy(one))
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, "d")


def test_replace_refuses_a_field_that_there_is_not() -> None:
    with pytest.raises((AttributeError, TypeError)):
        replace(Span("a.yaml", 1, 2), row=3)  # type: ignore[call-arg]


def test_replace_takes_what_has_no_slots_or_inherits() -> None:
    @dataclasses.dataclass(frozen=True)
    class Loose:
        x: int
        y: int = 0

    assert replace(Loose(1), y=2) == Loose(1, 2) and replace(Longer(1), x=5) == Longer(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    to: str
    weight: int = 1
    tags: list[str] = dataclasses.field(default_factory=list)


def test_a_maker_makes_what_calling_the_class_makes() -> None:
    made = maker(Parcel)(to="a", weight=2)
    assert type(made) is Parcel and made == Parcel(to="a", weight=2) and made.tags is not Parcel(to="a").tags
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.to = "b"  # type: ignore[misc]
    for wrong in (lambda: maker(Parcel)(), lambda: maker(Parcel)(to="a", colour="red")):  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            wrong()


def test_a_filler_takes_every_field_in_its_order() -> None:
    assert filler(Parcel)("a", 2, ["fragile"]) == Parcel(to="a", weight=2, tags=["fragile"])
    with pytest.raises(TypeError):
        filler(Parcel)("a", 2)


def test_what_the_standard_library_reads_is_there_before_anything_was_made() -> None:
    @dataclass(frozen=True, slots=True)
    class Crate:
        kind: ClassVar[str] = "wood"
        size: int
        note: str = dataclasses.field(default="", compare=False)

    @dataclass(frozen=True, slots=True)
    class Box(Crate):
        lid: bool = True

    assert [f.name for f in dataclasses.fields(Box)] == ["size", "note", "lid"] and dataclasses.is_dataclass(Crate)
    assert [(f.name, f.compare) for f in dataclasses.fields(Crate)] == [("size", True), ("note", False)]
    assert dataclasses.asdict(Box(1, "x")) == {"size": 1, "note": "x", "lid": True} and Box.kind == "wood"
    assert Crate.__match_args__ == ("size", "note") and Box.__match_args__ == ("size", "note", "lid")


def test_a_class_without_slots_is_refused() -> None:
    with pytest.raises(TypeError, match="slots"):
        dataclass(slots=False)
