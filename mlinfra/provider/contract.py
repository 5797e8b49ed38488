"""What a provider implements. Core owns the walk and the diff; a provider only answers.

Required: a :class:`Provider` with its :class:`ResourceType` s. Rarer abilities are one-method protocols, found by
``isinstance``: :class:`Finds`, :class:`Adopts`, :class:`ReadsMany`, :class:`Migrates`, :class:`Succeeds`, :class:`Stakes`,
:class:`Assesses`, :class:`Logs`, :class:`Validates`, :class:`ChecksOnServer`, :class:`Prices`, :class:`KnowsAtSight`.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path as FilePath
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from mlinfra.model import address as addresses
from mlinfra.model.change import Risk
from mlinfra.model.component import Component
from mlinfra.model.cost import Cost
from mlinfra.model.dataclass import dataclass, maker
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.errors import PlanError
from mlinfra.model.resource import Desired, Observed, Resource, ResourceState
from mlinfra.model.schema import Schema
from mlinfra.model.values import EMPTY, Map, Path, Value, freeze

Client = Any
"""Whatever ``Provider.connect`` returns; handed to every call. If it has ``async def close()``, that is called at the end."""


@runtime_checkable
class ResourceType(Protocol):
    """One native type. Methods raise :mod:`mlinfra.provider.failures` and nothing else."""

    schema: Schema

    async def read(self, client: Client, recorded: ResourceState) -> Observed | None:
        """The object as it stands in the world; None when it is gone."""

    async def create(self, client: Client, desired: Desired, token: str) -> Observed:
        """Make it. ``token`` (32 hex digits) is the operation's id, durable before this call: send it as the API's
        idempotency token, or put it into a tag, so that :class:`Finds` can find what a crash left."""

    async def update(self, client: Client, recorded: ResourceState, desired: Desired) -> Observed:
        """Change it in place. Only called when no immutable attribute differs."""

    async def delete(self, client: Client, recorded: ResourceState) -> None:
        """Delete it. Gone already is success."""


@runtime_checkable
class Finds(Protocol):
    async def find(self, client: Client, desired: Desired, token: str) -> Observed | None:
        """After a crash: what did the create with this token leave? None: nothing; it never began, or left no trace.

        A half-made object is returned too (the engine diffs it); what cannot be used is cleaned up here. Every type that is
        not virtual needs this: without it, a create that a crash cut off blocks its address until a person looks."""


@runtime_checkable
class Adopts(Protocol):
    async def adopt(self, client: Client, id: str) -> Observed | None:
        """Import: read the object by the id that a person gave; None when there is none."""


@runtime_checkable
class ReadsMany(Protocol):
    async def read_many(self, client: Client, recorded: Sequence[ResourceState]) -> Mapping[str, Observed]:
        """By id; what is not in the answer is gone."""


@runtime_checkable
class Migrates(Protocol):
    def migrate(self, attributes: Map, from_version: int) -> Map:
        """Recorded attributes of an older schema version, in today's shape. Pure."""


@runtime_checkable
class Succeeds(Protocol):
    async def succeed(self, client: Client, recorded: ResourceState, desired: Desired, token: str) -> Observed:
        """Create the successor beside ``recorded``, taking over what can be taken over (rows). Called instead of
        ``create`` when a replacement creates first."""


@runtime_checkable
class Stakes(Protocol):
    async def stake(self, client: Client, recorded: ResourceState) -> str:
        """What deleting it would lose, as an amount (``1,204,331 vectors``), read cheaply; ``""`` when nothing."""


@runtime_checkable
class Assesses(Protocol):
    def assess(self, before: Map, after: Map) -> Risk:
        """What an update in place from ``before`` to ``after`` puts at risk (an index that is built anew interrupts searches).
        UNKNOWN may stand anywhere in ``after``. Pure."""


@runtime_checkable
class Logs(Protocol):
    def logs(self, client: Client, recorded: ResourceState, *, follow: bool) -> AsyncIterator[str]:
        """Its log, line by line, oldest first."""


@runtime_checkable
class Validates(Protocol):
    def validate(self, attributes: Map) -> Sequence[tuple[Path, str]]:
        """Problems (path, sentence) of the desired attributes that a schema cannot say. Deferred leaves may stand
        anywhere and are to be skipped. Pure, offline; called at plan time."""


@runtime_checkable
class ChecksOnServer(Protocol):
    async def check(self, client: Client, recorded: ResourceState | None, desired: Desired) -> str:
        """Ask the server whether it would take this create (``recorded`` is None) or update, and change nothing: a dry run,
        ``validateOnly``, whether the name is free, whether the credentials may. For ``plan --server-check``.

        What was looked at (``name, permission, validateOnly``); ``""`` where the server offers nothing of the kind. Raises the
        failure with which it would refuse. UNKNOWN may stand in ``desired.attributes``: what only apply will tell."""


Find = Callable[[str, str, Value], Map | None]
"""``find("aws.launch_template", "LaunchTemplateName", name)``: the attributes of the resource of this type, of the same provider
instance, whose attribute has this value; None when the stack has none."""


@runtime_checkable
class Prices(Protocol):
    def price(self, attributes: Map, settings: Map, find: Find) -> Cost | None:
        """What a month of it costs. None: nothing to say (free, or paid by use alone); ``Cost(monthly=None)``: it costs money
        and nobody knows how much. ``settings`` are the provider instance's. UNKNOWN may stand anywhere. Pure, offline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderContext:
    """What ``connect`` gets beside its settings. ``base`` is the spec's folder; ``data`` a folder for this project and
    environment that a provider may keep files in (not created yet). ``excluded`` are the paths, relative to ``base``, that
    never count as code: spec files, declared data (see :mod:`mlinfra.provider.files`)."""

    project: str
    environment: str
    base: FilePath
    data: FilePath
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FileDigest:
    """A local file or folder as read by the engine before lowering: ``sha256:…`` over names and bytes, total bytes, files.

    ``single``: the path is a file, not a folder."""

    digest: str
    size: int
    files: int
    single: bool = False


class LoweringError(PlanError):
    """Raised by a lowering: this component cannot be made on this target. Carries the property's path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """``outputs`` is what ``${name.…}`` gives: constants, or Refs to attributes of ``resources``. So are the attributes of the main
    resource that ``own`` names, as they are. ``${name}`` is all of it."""

    resources: tuple[Resource, ...]
    outputs: Map = EMPTY
    own: tuple[str, ...] = ()


_resource = maker(Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweringContext:
    """Everything a lowering may know: pure data.

    ``settings``  the provider instance's settings (frozen, validated)
    ``digests``   (path as written, "data" | "code") → FileDigest of the local paths that the kind declares
    """

    component: Component
    project: str
    environment: str
    provider: str
    settings: Map = EMPTY
    digests: Mapping[tuple[str, str], FileDigest] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return self.component.name

    @property
    def named(self) -> str:
        """The address that physical names are made from: that at which the component was first made. An object that moves in
        the spec keeps its name, and so stays the same object."""
        return self.component.named or self.component.name

    def digest(self, path: str, mode: str = "data") -> FileDigest:
        """The digest of a local path; a LoweringError when the engine has none (the path was not known at plan time)."""
        found = self.digests.get((path, mode))
        if found is None:
            raise self.error("lower.unread_path", f"{path!r} must be known at plan time and readable")
        return found

    def resource(
        self,
        type: str,
        attributes: Mapping[str, Value],
        *,
        role: str = "",
        key: str | None = None,
        provider: str | None = None,
        depends_on: tuple[str, ...] = (),
        settles_after: tuple[str, ...] = (),
    ) -> Resource:
        """A native resource of this component. The component's ``native`` settings for this type are merged in
        (``native: {TYPE_OR_ROLE: {attribute: value}}``, or flat ``native: {attribute: value}`` for the main one)."""
        c = self.component
        wanted = {k: freeze(v) for k, v in attributes.items() if v is not None}
        if c.native:
            wanted.update(_settings_for(type, role, c.native))
        return _resource(
            address=addresses.native(c.name, role, key),
            type=type,
            provider=provider or self.provider,
            attributes=Map(wanted),
            depends_on=c.depends_on + depends_on,
            lifecycle=c.lifecycle,
            component=c.name,
            kind=c.kind,
            named=c.named,
            settles_after=settles_after,
            existing=c.existing if not role else None,
            span=c.span,
        )

    @property
    def base(self) -> str:
        """The address of what this provider instance's components share in an environment: ``azure_base``."""
        return f"{self.provider.replace('.', '_').replace('-', '_')}_base"

    def shared(self, type: str, attributes: Mapping[str, Value], *, role: str, depends_on: tuple[str, ...] = ()) -> Resource:
        """A native resource that several components stand on (a workspace, its storage account): each gives the same one, and it is
        made once. It goes when the last of them goes. ``attributes`` must depend on the project, the environment and the settings alone."""
        return Resource(
            address=addresses.native(self.base, role),
            type=type,
            provider=self.provider,
            attributes=Map({k: freeze(v) for k, v in attributes.items() if v is not None}),
            depends_on=depends_on,
            component=self.base,
            kind="base",
            span=self.component.span,
        )

    def error(self, code: str, message: str, *, path: Path = (), hint: str = "") -> LoweringError:
        """A LoweringError at the place of the property ``path``."""
        return LoweringError(
            Diagnostic(code=code, message=message, hint=hint, address=self.address, path=path, span=span_at(self.component, path))
        )


def _settings_for(type: str, role: str, native: Map) -> Map:
    """The ``native`` settings of a component that are meant for its resource of this type and role."""
    nested = [n for n in (type, type.rpartition(".")[2], role) if n and isinstance(native.get(n), dict)]
    if nested:
        return Map({name: value for n in nested for name, value in native[n].items()})
    return EMPTY if role else native


def span_at(component: Component, path: Path) -> Span | None:
    """The place of the property at ``path``, or of its nearest written parent, or of the block."""
    for end in range(len(path), -1, -1):
        span = component.spans.get(path[:end])
        if span is not None:
            return span
    return component.span


class Lowering(Protocol):
    def __call__(self, spec: Any, context: LoweringContext) -> Lowered:
        """``spec`` is the kind's pydantic model; Refs and Exprs may stand where a value is not known yet. Pure."""


@runtime_checkable
class Provider(Protocol):
    """``config`` is a pydantic model class; ``types`` by full name (``aws.s3_bucket``); ``lowerings`` by portable kind.

    ``everywhere`` names the kinds that this provider lowers for every target that does not lower them itself.
    ``max_concurrency`` bounds the adaptive limiter.
    """

    name: str
    types: Mapping[str, ResourceType]
    lowerings: Mapping[str, Lowering]
    everywhere: frozenset[str]
    max_concurrency: int

    @property
    def config(self) -> type[Any]: ...

    async def connect(self, config: Any, context: ProviderContext) -> Client: ...


@runtime_checkable
class KnowsAtSight(Protocol):
    """A provider whose common settings need no model, so that nobody need import it (:mod:`mlinfra.provider.settings`).

    ``defaults`` is what ``config`` holds where nothing is written. ``at_sight`` has for some settings what tells that a value is right,
    and is what the model would make of it; ``connect`` may then get an object with the attributes of ``config`` in its place."""

    defaults: Map
    at_sight: Mapping[str, Callable[[Value], bool]]


T = TypeVar("T")


class Lazy(Mapping[str, T], Generic[T]):
    """A mapping of names to objects that are imported on first use.

    ``Lazy({"local.bucket": "mlinfra_local.resources.bucket:Bucket()"})``; a target that ends in ``()`` is called once."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = dict(targets)
        self._loaded: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._loaded:
            module, _, attribute = self._targets[name].partition(":")
            found: Any = getattr(importlib.import_module(module), attribute.removesuffix("()"))
            self._loaded[name] = found() if attribute.endswith("()") else found
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)


Factory = Callable[[], Provider]
