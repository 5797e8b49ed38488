"""The checks themselves; each test's name says what a provider must do."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlinfra.kinds import catalog
from mlinfra.model.address import component_of
from mlinfra.model.dataclass import replace
from mlinfra.model.resource import Resource
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, UNKNOWN, Map, Ref, leaves
from mlinfra.provider.contract import (
    Adopts,
    ChecksOnServer,
    Finds,
    KnowsAtSight,
    Logs,
    Migrates,
    Provider,
    ReadsMany,
    ResourceType,
    Stakes,
    Succeeds,
    Validates,
)
from mlinfra.provider.failures import AlreadyExists, Invalid, NotFound
from mlinfra.provider.testing.compare import check_plain, differences, foretold, lost, predicted, seen_differently, strange
from mlinfra.provider.testing.world import Portable, Sample, World, lower, recorded


def can(*abilities: Any, real: bool = False, has: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Marks a check as one for types with any of these abilities (``real``: not virtual; ``has``: the sample says so)."""

    def mark(check: Callable[..., None]) -> Callable[..., None]:
        check.only = (abilities or (object,), real, has)  # type: ignore[attr-defined]
        return check

    return mark


class ProviderContract:
    """``provider`` is the provider under test, ``samples`` its types at work, ``portables`` the kinds it lowers.

    ``unsampled`` names types that cannot be made here, each with the reason. Override the fixture ``given`` to hand
    samples what a fixture of yours started (``w.given["uri"]``), and :meth:`settings` for the provider's settings.
    """

    provider: ClassVar[Any]
    samples: ClassVar[Sequence[Sample]] = ()
    portables: ClassVar[Sequence[Portable]] = ()
    unsampled: ClassVar[Mapping[str, str]] = EMPTY

    def settings(self, folder: Path, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The provider's settings; ``folder`` is the test's own."""
        return {}

    @pytest.fixture
    def given(self) -> Mapping[str, Any]:
        """What samples may use: nothing, until a subclass says otherwise."""
        return {}

    @pytest.fixture
    def world(self, sample: Sample, tmp_path: Path, given: Mapping[str, Any]) -> Iterator[World]:
        with self.opened(sample, tmp_path, given) as world:
            yield world

    @contextmanager
    def opened(self, sample: Sample, folder: Path, given: Mapping[str, Any]) -> Iterator[World]:
        world = World(self.provider, self.settings(folder, given), given, sample, folder)
        try:
            world.make_needs()
            yield world
        finally:
            world.close()

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "sample" in metafunc.fixturenames:
            only: Any = getattr(metafunc.function, "only", ((object,), False, ""))
            abilities, real, has = only
            chosen = []
            for sample in self.samples:
                kind = self.provider.types[sample.type]
                able = isinstance(kind, abilities) and not (real and kind.schema.virtual)
                if able and (not has or getattr(sample, has) not in (None, False)):
                    chosen.append(sample)
            metafunc.parametrize("sample", chosen, ids=str)
        if "portable" in metafunc.fixturenames:
            metafunc.parametrize("portable", self.portables, ids=str)

    # the provider as a whole

    def test_names_are_in_order(self) -> None:
        provider: Provider = self.provider
        assert isinstance(provider, Provider), "the provider lacks a member of the Provider protocol"
        assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.name), f"{provider.name!r} is no provider name"
        for name in provider.types:
            assert re.fullmatch(rf"{provider.name}\.[a-z][a-z0-9_]*", name), (
                f"type {name!r} is not named {provider.name}.something"
            )
            assert isinstance(provider.types[name], ResourceType), f"{name} lacks a member of the ResourceType protocol"
        for kind in provider.lowerings:
            assert kind in catalog.NAMES, f"there is no portable kind {kind!r}"
            assert callable(provider.lowerings[kind]), f"the lowering of {kind} cannot be called"
        assert provider.everywhere <= set(provider.lowerings), "a kind is offered everywhere without a lowering"
        assert provider.max_concurrency >= 1

    def test_unknown_settings_are_refused(self) -> None:
        with pytest.raises(ValueError, match="no_such_setting"):
            self.provider.config.model_validate({"no_such_setting": 1})

    def test_the_defaults_of_its_settings_are_those_of_its_model(self) -> None:
        defaults = self.provider.defaults if isinstance(self.provider, KnowsAtSight) else None
        if defaults is None:
            pytest.skip("this provider names no defaults: its model is asked")
        assert self.provider.config.model_validate({}).model_dump() == defaults

    def test_nothing_goes_untested(self) -> None:
        sampled = {s.type for s in self.samples} | {n.type for s in self.samples for n in s.needs.values()}
        assert sampled | set(self.unsampled) >= set(self.provider.types), "types without a sample (or a reason in unsampled)"
        assert {p.kind for p in self.portables} >= set(self.provider.lowerings), "lowerings without a portable sample"

    def test_schemas_are_sound(self) -> None:
        for name, kind in self.provider.types.items():
            schema: Schema = kind.schema
            assert schema.version == 1 or isinstance(kind, Migrates), f"{name} has an older schema version but no migrate()"
            for key, a in schema.attributes.items():
                assert not (a.required and a.computed), f"{name}.{key} is required of the user and computed"
                assert not (a.volatile and not a.computed), f"{name}.{key} is volatile but not computed"
                assert not (a.immutable and not a.source), f"{name}.{key} is immutable without a source to cite"
            unknown = Map(dict.fromkeys(schema.attributes, UNKNOWN))
            least = Map({key: UNKNOWN for key, a in schema.attributes.items() if a.required})
            for attributes in (unknown, least):
                surprise = {
                    k for k in predicted(schema, attributes) if k not in schema.attributes or not schema.attributes[k].computed
                }
                assert not surprise, f"{name} predicts what is no computed attribute: {surprise}"
            if isinstance(kind, Validates):
                assert list(kind.validate(unknown)) == [], f"{name}.validate() does not skip values that are not known yet"

    def test_whatever_is_made_can_be_found_after_a_crash(self) -> None:
        for name, kind in self.provider.types.items():
            assert kind.schema.virtual or isinstance(kind, Finds), f"{name} has no find(): a crash in its create would orphan it"

    # one sample at work; checks that only look share what was made, for making it may take seconds

    def test_what_create_gives_is_whole_as_predicted_and_as_read(self, world: World) -> None:
        schema, attributes = world.type().schema, world.attributes(world.sample.create)
        foreseen = dict(predicted(schema, attributes))
        assert foreseen == dict(predicted(schema, attributes)), "predict() gives different answers to the same question"
        desired = world.desired(attributes)
        observed = world.call(world.type().create(world.client, desired, uuid.uuid4().hex))
        state = world.record(observed, desired)
        assert observed.id, "create returned no id"
        assert schema.open or set(observed.attributes) <= set(schema.attributes), (
            "create returned attributes that the schema does not know"
        )
        missing = {n for n, a in schema.attributes.items() if a.computed and n not in observed.attributes}
        assert not missing, f"computed attributes were not returned: {missing}"
        assert lost(schema, attributes, observed.attributes) == {}, "create returned other inputs than it was given"
        check_plain(attributes, observed.attributes)
        wrong = {
            n: (v, state.attributes.get(n)) for n, v in foreseen.items() if v is not UNKNOWN and v != state.attributes.get(n)
        }
        assert wrong == {}, "predict() promised something else than create returned"
        for _ in range(2):
            seen = world.read(state)
            assert seen is not None and seen.id == state.id, "read does not find what create made"
            assert seen_differently(schema, state, seen) == {}, "read sees something else than create returned"
            check_plain(attributes, seen.attributes)

    @can(ReadsMany, Adopts, Stakes, Logs)
    def test_whatever_else_looks_agrees_with_read(self, world: World) -> None:
        state, kind = world.create(world.attributes(world.sample.create)), world.type()
        if isinstance(kind, ReadsMany):
            nobody = replace(state, address="nobody", id=strange(state.id))
            asked = [state] if kind.schema.virtual else [state, nobody]
            answers = world.call(kind.read_many(world.client, asked))
            assert set(answers) == {state.id}, "read_many must answer for what exists, by id, and for nothing else"
            assert answers[state.id] == world.read(state)
        if isinstance(kind, Stakes):
            assert isinstance(world.call(kind.stake(world.client, state)), str), "what is at stake is no text"
        if isinstance(kind, Logs) and not kind.schema.virtual:
            stream = kind.logs(world.client, state, follow=False)

            async def collected() -> list[Any]:
                return [line async for line in stream]

            lines = world.call(collected())
            assert all(isinstance(line, str) and not line.endswith("\n") for line in lines), "a log is no lines of text"
        if isinstance(kind, Adopts) and not kind.schema.virtual:
            adopted = world.call(kind.adopt(world.client, state.id))
            assert adopted is not None and adopted.id == state.id, "what exists cannot be imported by its id"
            assert kind.schema.open or set(adopted.attributes) <= set(kind.schema.attributes)
            imported = replace(state, attributes=recorded(kind.schema, EMPTY, adopted.attributes))
            seen = world.read(imported)
            assert seen is not None and seen.id == state.id, "read does not find what was adopted"
            assert seen_differently(kind.schema, imported, seen) == {}, "read sees something else than adopt"
            still = world.read(state)
            assert still is not None and seen_differently(kind.schema, state, still) == {}, "adopting changed the object"
            with suppress(Invalid, NotFound):
                assert world.call(kind.adopt(world.client, strange(state.id))) is None, "something that is not there was adopted"

    @can(real=True)
    def test_deleted_is_gone_and_deleting_again_succeeds(self, world: World) -> None:
        state = world.create(world.attributes(world.sample.create))
        world.delete(state)
        assert world.read(state) is None, "read still finds what was deleted"
        world.delete(state)
        again = world.create(world.attributes(world.sample.create))
        assert world.read(again) is not None, "it cannot be made again after it was deleted"

    @can(real=True, has="alone")
    def test_two_creates_never_share_an_object(self, world: World) -> None:
        attributes = world.attributes(world.sample.create)
        state = world.create(attributes)
        try:
            twin = world.create(attributes, address="twin")
        except AlreadyExists:
            assert world.read(state) is not None, "the refused second create destroyed the first object"
            return
        assert twin.id != state.id, "a second create took over the first object instead of raising AlreadyExists"

    @can(Finds)
    def test_create_is_found_by_its_token_and_only_by_it(self, world: World) -> None:
        attributes, token = world.attributes(world.sample.create), uuid.uuid4().hex
        desired, kind = world.desired(attributes), world.type()
        assert isinstance(kind, Finds)
        assert world.call(kind.find(world.client, desired, token)) is None, "found before it was made"
        state = world.create(attributes, token=token)
        found = world.call(kind.find(world.client, desired, token))
        assert found is not None and found.id == state.id, "what a create left is not found by its token"
        assert seen_differently(world.type().schema, state, found) == {}, "find sees something else than create returned"
        assert world.call(kind.find(world.client, desired, uuid.uuid4().hex)) is None, "found by a token that is not its own"
        assert world.read(state) is not None, "looking for another token destroyed it"

    @can(ChecksOnServer, real=True)
    def test_a_server_check_changes_nothing(self, world: World) -> None:
        attributes, token = world.attributes(world.sample.create), uuid.uuid4().hex
        desired, kind = world.desired(attributes), world.type()
        assert isinstance(kind, ChecksOnServer)
        assert isinstance(world.call(kind.check(world.client, None, desired)), str)
        assert isinstance(kind, Finds) and world.call(kind.find(world.client, desired, token)) is None
        state = world.create(attributes)  # what had been made by the check would be in the way
        changed = world.desired(world.attributes(world.sample.update)) if world.sample.update is not None else desired
        assert isinstance(world.call(kind.check(world.client, state, changed)), str)
        seen = world.read(state)
        assert seen is not None and seen_differently(kind.schema, state, seen) == {}, "the check changed the object"

    @can(has="update")
    def test_update_happens_in_place_and_back(self, world: World) -> None:
        """The way back is made under another address, as after ``moved``: that alone is no reason to refuse."""
        schema = world.type().schema
        first, second = world.attributes(world.sample.create), world.attributes(world.sample.update)
        assert differences(schema, foretold(schema, first), foretold(schema, second)), "the sample's update changes nothing"
        fixed = {n for n, a in schema.attributes.items() if a.immutable}
        assert not fixed & set(differences(schema, foretold(schema, first), foretold(schema, second))), (
            "the sample's update changes something immutable"
        )
        state = world.create(first)
        updated = world.update(state, second)
        assert updated.id == state.id, "an update changed the id"
        assert lost(schema, second, updated.attributes) == {}, "update returned other inputs than it was given"
        assert {n: updated.attributes.get(n) for n in fixed} == {n: state.attributes.get(n) for n in fixed}
        promised = {n: v for n, v in predicted(schema, second).items() if v is not UNKNOWN}
        assert {n: updated.attributes.get(n) for n in promised} == promised, (
            "predict() promised something else than update returned"
        )
        check_plain(second, updated.attributes)
        later = replace(state, attributes=recorded(schema, second, updated.attributes))
        seen = world.read(later)
        assert seen is not None and seen_differently(world.type().schema, later, seen) == {}, (
            "read sees something else than update returned"
        )
        moved = replace(later, address="moved")
        back = recorded(schema, first, world.update(moved, first).attributes)
        assert differences(schema, state.attributes, back) == {}, "dependents could not be cut off early"

    @can(has="replace")
    def test_replacement_leaves_only_the_new_object(self, world: World) -> None:
        kind, first, second = world.type(), world.attributes(world.sample.create), world.attributes(world.sample.replace)
        fixed = {n for n, a in kind.schema.attributes.items() if a.immutable}
        both = foretold(kind.schema, first), foretold(kind.schema, second)
        assert fixed & set(differences(kind.schema, *both)), "the sample's replacement changes nothing immutable"
        old = world.create(first)
        if kind.schema.create_first:
            desired, token = world.desired(second), uuid.uuid4().hex
            made = kind.succeed(world.client, old, desired, token) if isinstance(kind, Succeeds) else None
            new = world.record(world.call(made or kind.create(world.client, desired, token)), desired)
            assert new.id != old.id, "the successor has its predecessor's id"
            assert world.read(old) is not None, "making the successor destroyed the old object"
            world.delete(old)
        else:
            world.delete(old)
            new = world.create(second)
        assert world.read(new) is not None, "deleting the old object destroyed its successor"
        assert new.id == old.id or kind.schema.virtual or world.read(old) is None, "the replaced object is still there"

    # lowering

    def test_lowering_is_pure(self, portable: Portable) -> None:
        assert lower(self.provider, portable) == lower(self.provider, portable)

    def test_lowering_gives_the_outputs_of_the_kind(self, portable: Portable) -> None:
        lowered = lower(self.provider, portable)
        assert {*lowered.own, *lowered.outputs} == set(catalog.kind(portable.kind).outputs)
        schemas = {r.address: self._schema(r) for r in lowered.resources}
        main = schemas.get("sample")
        assert main is None or set(lowered.own) <= {*main.attributes, "id"}, "an attribute that the type does not have is offered"
        for path, leaf in leaves(lowered.outputs):
            if isinstance(leaf, Ref) and schemas.get(leaf.address) is not None:
                known = {*schemas[leaf.address].attributes, "id"}  # type: ignore[union-attr]
                assert leaf.path and leaf.path[0] in known, f"output {path} refers to {leaf}, which the type does not have"

    def test_lowering_gives_resources_that_their_schemas_take(self, portable: Portable) -> None:
        resources = lower(self.provider, portable).resources
        addresses = [r.address for r in resources]
        assert len(set(addresses)) == len(addresses), "two resources have one address"
        assert "sample" in addresses, "the main resource must have the component's own address"
        shared = f"{self.provider.name}_base"  # what several components stand on (LoweringContext.shared)
        assert all(component_of(r.address) == r.component and r.component in ("sample", shared) for r in resources)
        for r in resources:
            schema = self._schema(r)
            if schema is not None:
                assert schema.open or set(r.attributes) <= set(schema.attributes), (
                    f"{r.type} does not know all of these attributes"
                )
                assert {n for n, a in schema.attributes.items() if a.required} <= set(r.attributes), f"{r.type} lacks one"

    def _schema(self, resource: Resource) -> Schema | None:
        own = resource.type.partition(".")[0] == self.provider.name
        assert not own or resource.type in self.provider.types, f"there is no type {resource.type}"
        return self.provider.types[resource.type].schema if own else None
