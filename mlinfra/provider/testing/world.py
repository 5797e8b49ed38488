"""What a contract test works with: samples of a provider's types, and a world to make them in."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mlinfra.kinds import catalog
from mlinfra.model.component import Component
from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, Map, Secret, SecretDigest, Value, freeze, leaves, transform
from mlinfra.provider import files
from mlinfra.provider.contract import FileDigest, Lowered, LoweringContext, Provider, ProviderContext, ResourceType
from mlinfra.provider.failures import Failure

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Given:
    """Something that a sample needs to exist first: made before it by the same provider, deleted after it."""

    type: str
    attributes: Mapping[str, Value] | Callable[[World], Mapping[str, Value]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One native type at work.

    ``create``, ``update`` and ``replace`` are desired attributes, or functions of the :class:`World` that give them
    (``lambda w: {"database": w["db"].id}``). ``update`` differs from ``create`` in nothing immutable, ``replace`` in something.
    ``alone`` is False where two addresses can never name the same object, so that nobody has to check for it.
    ``needs`` are made first, in order; ``files`` are written below the spec's folder. ``name`` tells samples of one type apart.
    """

    type: str
    create: Mapping[str, Value] | Callable[[World], Mapping[str, Value]]
    update: Mapping[str, Value] | Callable[[World], Mapping[str, Value]] | None = None
    replace: Mapping[str, Value] | Callable[[World], Mapping[str, Value]] | None = None
    needs: Mapping[str, Given] = EMPTY
    files: Mapping[str, str | bytes] = EMPTY
    alone: bool = True
    name: str = ""

    def __str__(self) -> str:
        return f"{self.type}-{self.name}" if self.name else self.type


@dataclass(frozen=True, kw_only=True)
class Portable:
    """One portable kind to be lowered. ``properties`` as they stand right before lowering: references to other components
    are Maps of their outputs with ``kind`` added. ``digests`` are what the engine would have read of local paths."""

    kind: str
    properties: Mapping[str, Value] = EMPTY
    digests: Mapping[tuple[str, str], FileDigest] = field(default_factory=dict)
    settings: Mapping[str, Value] = EMPTY
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}" if self.name else self.kind


class World:
    """A client, the folders it was connected with, and what was made so far. ``world["db"]`` is a need's recorded state."""

    def __init__(self, provider: Provider, settings: Mapping[str, Any], given: Mapping[str, Any], sample: Sample, folder: Path):
        self.provider = provider
        self.given = given
        self.sample = sample
        self.base = folder / "spec"
        self.data = folder / "data"
        self.base.mkdir(parents=True)
        for name, content in sample.files.items():
            file = self.base / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self._runner = asyncio.Runner()
        self._needs: dict[str, ResourceState] = {}
        self._made: list[ResourceState] = []
        context = ProviderContext(project="contract", environment="test", base=self.base, data=self.data)
        self.client = self.call(provider.connect(provider.config.model_validate(dict(settings)), context))

    def __getitem__(self, need: str) -> ResourceState:
        return self._needs[need]

    def call(self, answer: Awaitable[T]) -> T:
        """The answer of a provider's call; the test fails on an exception that no provider may raise."""

        async def waited() -> T:
            return await answer

        try:
            return self._runner.run(waited())
        except Failure:
            raise
        except Exception as error:
            raise AssertionError(f"raised {type(error).__name__}, which is no Failure: {error}") from error

    def type(self, state: ResourceState | None = None) -> ResourceType:
        return self.provider.types[state.type if state else self.sample.type]

    def attributes(self, given: Mapping[str, Value] | Callable[[World], Mapping[str, Value]] | None) -> Map:
        assert given is not None
        return Map(freeze(dict(given(self) if callable(given) else given)))

    def desired(self, attributes: Map, *, type: str = "", address: str = "sample") -> Desired:
        return Desired(address=address, type=type or self.sample.type, attributes=attributes, timeout=120)

    def create(self, attributes: Map, *, type: str = "", address: str = "sample", token: str = "") -> ResourceState:
        desired = self.desired(attributes, type=type, address=address)
        kind = self.provider.types[desired.type]
        return self.record(self.call(kind.create(self.client, desired, token or uuid.uuid4().hex)), desired)

    def record(self, observed: Observed, desired: Desired) -> ResourceState:
        """What the engine would write down; deleted when the world closes."""
        state = ResourceState(
            address=desired.address,
            type=desired.type,
            provider=self.provider.name,
            id=observed.id,
            attributes=recorded(self.provider.types[desired.type].schema, desired.attributes, observed.attributes),
            inputs=tuple(sorted(desired.attributes)),
        )
        self._made.append(state)
        return state

    def read(self, state: ResourceState) -> Observed | None:
        return self.call(self.type(state).read(self.client, state))

    def update(self, state: ResourceState, attributes: Map) -> Observed:
        desired = self.desired(attributes, type=state.type, address=state.address)
        return self.call(self.type(state).update(self.client, state, desired))

    def delete(self, state: ResourceState) -> None:
        self.call(self.type(state).delete(self.client, state))

    def digest(self, path: str, mode: files.Mode = "data") -> FileDigest:
        """The digest of a file or folder of the spec's folder, as the engine reads it before lowering."""
        return files.digest(self.base, path, mode)

    def lowered(self, kind: str, properties: Mapping[str, Value], *, address: str = "sample") -> Map:
        """The attributes of the main resource that the provider makes of a portable component; local paths are digested."""
        model = catalog.kind(kind).model_validate(dict(freeze(dict(properties))))
        digests: dict[tuple[str, str], FileDigest] = {(p.path, p.mode): self.digest(p.path, p.mode) for p in model.local_paths()}
        portable = Portable(kind=kind, properties=properties, digests=digests)
        resources = lower(self.provider, portable, address).resources
        return next(r.attributes for r in resources if r.address == address)

    def make_needs(self) -> None:
        for name, need in self.sample.needs.items():
            self._needs[name] = self.create(self.attributes(need.attributes), type=need.type, address=name)

    def close(self) -> None:
        try:
            for state in reversed(self._made):
                self.delete(state)
            if hasattr(self.client, "close"):
                self.call(self.client.close())
        finally:
            self._runner.close()


def lower(provider: Provider, portable: Portable, address: str = "sample") -> Lowered:
    """What the provider makes of ``portable`` as the component ``address``."""
    properties = Map(freeze(dict(portable.properties)))
    context = LoweringContext(
        component=Component(kind=portable.kind, name=address, target=provider.name, properties=properties),
        project="contract",
        environment="test",
        provider=provider.name,
        settings=Map(freeze(dict(portable.settings))),
        digests=portable.digests,
    )
    return provider.lowerings[portable.kind](catalog.kind(portable.kind).model_validate(dict(properties)), context)


def recorded(schema: Schema, desired: Map, observed: Map) -> Map:
    """Observed attributes as state keeps them: secrets as digests, also where the provider left a secret input out."""

    def hidden(value: Value) -> Value:
        return SecretDigest(hashlib.sha256(repr(value.reveal()).encode()).hexdigest()) if isinstance(value, Secret) else value

    secret = {n: v for n, v in desired.items() if n not in observed and any(isinstance(x, Secret) for _, x in leaves(v))}
    return Map(
        {
            name: transform(value, hidden)
            for name, value in {**secret, **observed}.items()
            if schema.open or name in schema.attributes
        }
    )
