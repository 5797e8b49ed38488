"""Where a spec is worked on: the options of a run, its state, its connections, and the first half of the line
(load → resolve → lower), which collects every problem that there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlinfra.lower import lower
from mlinfra.lower.naming import as_recorded
from mlinfra.lower.stack import Stack
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, PlanError, SpecError, StateError
from mlinfra.model.events import Notice, Sink
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.state import State
from mlinfra.model.validation import refusal
from mlinfra.model.values import UNKNOWN, Map, Secret, SecretRef, is_known, leaves, secret_refs, within
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import FileDigest, ProviderContext, span_at
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Inputs, Resolved, examine, head
from mlinfra.resolve.cel import substitute
from mlinfra.resolve.files import excluded_paths, read_digests
from mlinfra.spec.document import Spec
from mlinfra.spec.kind_errors import diagnostics
from mlinfra.spec.loader import load, read
from mlinfra.spec.own_folder import HOME, make_own_folder
from mlinfra.spec.positions import MergedMap, Spans
from mlinfra.state import secret_sources
from mlinfra.state.cloud_access import CloudRefused
from mlinfra.state.places import place, read_outputs
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.stores.opening import is_default, settings_of

if TYPE_CHECKING:
    from mlinfra.state.history import DigestRow

Mode = Literal["normal", "destroy", "refresh_only"]
Digests = Mapping[tuple[str, str], FileDigest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person says on the command line. ``directory`` is the spec's folder, ``environ`` the process environment.

    ``lock_timeout`` in seconds; None: until it is known whether the lock's holder lives. ``waits``: the plan will be applied at
    once, so that it is worth waiting to see whether a holder that left something open lives. ``overrides``: policy → why its refusal
    is borne this time. ``state_base``: the folder that a local state is relative to, where it is not the spec's. ``offline``: nobody is
    asked for the outputs of other stacks, and what uses them is not looked at."""

    directory: Path
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    server_check: bool = False
    mode: Mode = "normal"
    parallelism: int | None = None
    lock_timeout: float | None = None
    waits: bool = False
    allow_data_loss: bool = False
    offline: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    state_base: Path | None = None

    @property
    def base(self) -> Path:
        """The spec's folder, absolute."""
        directory = self.directory.resolve()
        return directory.parent if directory.is_file() else directory

    @property
    def inputs(self) -> Inputs:
        return Inputs(
            environment=self.environment,
            variables=self.variables,
            var_files=self.var_files,
            environ=self.environ,
            read_stack=None if self.offline else self._read_stack,
        )

    def _read_stack(self, name: str, state: Map, project: str, environment: str) -> Map:
        return read_outputs(place(state, project, environment, self.base, self.environ or None), name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """A spec that holds together: what it asks for, and the native resources that this becomes."""

    resolved: Resolved
    stack: Stack
    digests: Digests
    warnings: tuple[Diagnostic, ...] = ()


def validated(o: Options, registry: Registry) -> Validated:
    """Load, resolve and lower the spec of ``o``. SpecError with every problem of every stage."""
    spec, problems = read(o.directory)
    return examined(o, spec, registry, problems)


def examined(
    o: Options, spec: Spec, registry: Registry, problems: Sequence[Diagnostic] = (), *, recorded: Digests | None = None
) -> Validated:
    """Resolve and lower ``spec``; ``problems`` are what loading found. A later stage passes over what an earlier one found broken."""
    found = list(problems)
    resolved, more = _resolved(o, spec, registry)
    found += more
    stack = Stack()
    digests: Digests = {}
    try:
        digests = read_digests(resolved, recorded=recorded)
    except MlinfraError as error:
        found += error.diagnostics
        unread = frozenset(d.address for d in error.diagnostics if d.address)
        resolved = replace(resolved, broken=resolved.broken | unread)
    try:
        stack = lower(resolved, registry, digests)
    except MlinfraError as error:
        found += error.diagnostics
    found += _removed_but_there(resolved, stack)
    found += _state_problems(resolved)
    if found:
        raise SpecError(dict.fromkeys(sorted(found, key=_place)))
    return Validated(resolved=resolved, stack=stack, digests=digests, warnings=resolved.warnings)


def _resolved(o: Options, spec: Spec, registry: Registry) -> tuple[Resolved, tuple[Diagnostic, ...]]:
    def outputs_of(kind: str) -> dict[str, str] | None:
        return _outputs_of(registry, kind)

    resolved, problems = examine(spec, o.inputs, outputs_of=outputs_of)
    if o.mode == "destroy" and any(p.code == "stack.no_state" for p in problems):
        # what was built on a stack that is gone can still be taken away, as long as its providers can be reached
        without, rest = examine(spec, replace(o, offline=True).inputs, outputs_of=outputs_of)
        if not any(leaf is UNKNOWN for settings in (without.state, *without.providers.values()) for leaf in within(settings)):
            return without, rest
    return resolved, problems


def named_as_made(valid: Validated, recorded: State, registry: Registry) -> Validated:
    """``valid`` with the physical names that its components were made with, where they have moved since."""
    from mlinfra.plan.moves import move

    components = valid.stack.components
    moved, _ = move(recorded, valid.resolved.moved, components)
    renamed = as_recorded(valid.resolved.components, moved)
    if all(components[c.name].named == c.named for c in renamed):
        return valid
    resolved = replace(valid.resolved, components=renamed)
    return replace(valid, resolved=resolved, stack=lower(resolved, registry, valid.digests))


def location(o: Options, resolved: Resolved) -> Location:
    """Where the state is. SpecError at the place of a setting that cannot be; nothing is asked of the store yet."""
    problems = _state_problems(resolved)
    if problems:
        raise SpecError(problems)
    return place(resolved.state, resolved.project, resolved.environment, o.state_base or o.base, o.environ or None)


def location_now(o: Options) -> Location:
    """The state of the spec in ``o.directory``; only its head is looked at."""
    spec, problems = read(o.directory)
    if not spec.project:
        raise SpecError(problems)
    return location(o, head(spec, o.inputs))


@asynccontextmanager
async def session(
    o: Options, where: Location, operation: str, sink: Sink, *, cancelled: Callable[[], bool] = lambda: False
) -> AsyncIterator[Session]:
    """The right to write the state, for as long as the block lasts. StateLocked names who has it instead; ``cancelled`` ends a wait."""
    keep_out_of_git(o)
    await a_loop()
    loop = asyncio.get_running_loop()

    def say(message: str) -> None:
        loop.call_soon_threadsafe(sink, Notice(message=message))

    opened = await asyncio.to_thread(open_session, where, operation, lock_timeout=o.lock_timeout, say=say, cancelled=cancelled)
    if opened.taken_from is not None:
        sink(Notice(message=f"took over the lock of {opened.taken_from}, which is gone"))
    try:
        yield opened
    finally:
        await opened.close()


def connections(o: Options, resolved: Resolved, registry: Registry) -> Connections:
    """Connections to the providers of a spec, made when first needed."""
    base = o.base
    where = f"{resolved.project}-{resolved.environment or 'default'}"

    def context(instance: str) -> ProviderContext:
        data = base / HOME / instance.partition(".")[0] / where
        return ProviderContext(
            project=resolved.project, environment=resolved.environment, base=base, data=data, excluded=excluded_paths(resolved)
        )

    async def secrets(settings: Map) -> Map:
        refs = tuple(secret_refs(settings))
        return with_secrets(settings, await fetch_secrets(o, refs)) if refs else settings

    return Connections(registry, resolved.providers, context, parallelism=o.parallelism, secrets=secrets)


async def fetch_secrets(o: Options, refs: Iterable[SecretRef], stack: Stack | None = None) -> dict[SecretRef, Secret]:
    """What lies at ``refs``. PlanError with every one that cannot be had, at its place in the ``stack``'s spec."""
    found, refused = await secret_sources.fetch(refs, o.base, o.environ or None)
    if refused:
        raise PlanError([_cannot_be_had(ref, error, stack) for ref, error in refused.items()])
    return found


def with_secrets(tree: Map, secrets: Mapping[SecretRef, Secret]) -> Map:
    """The tree with fetched secrets in their places."""
    filled: Map = substitute(tree, lambda ref: ref, lambda ref: secrets.get(ref, ref))
    return filled


def _cannot_be_had(ref: SecretRef, error: CloudRefused, stack: Stack | None) -> Diagnostic:
    message = f"the secret {ref.source} cannot be had: {error.message}"
    for component in stack.components.values() if stack is not None else ():
        for path, leaf in leaves(component.properties):
            if ref in secret_refs(leaf):
                place = span_at(component, path)
                return Diagnostic(
                    code="secret.unavailable", message=message, hint=error.hint, span=place, address=component.name, path=path
                )
    return Diagnostic(code="secret.unavailable", message=message, hint=error.hint)


@contextmanager
def spec_from_texts(files: Mapping[str, str]) -> Iterator[Spec]:
    """A spec from its files' texts (of a saved plan, of history). Its modules can be read inside the block only."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mlinfra-spec-") as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        yield load(Path(folder))


def texts_of(resolved: Resolved) -> dict[str, str]:
    """The texts of the spec's own files and its modules', by name; no variable files, which may hold secrets."""
    return {name: resolved.files[name] for name in resolved.spec_files if name in resolved.files}


def to_rows(digests: Digests) -> tuple[DigestRow, ...]:
    return tuple((path, mode, d.digest, d.size, d.files, d.single) for (path, mode), d in sorted(digests.items()))


def from_rows(rows: Sequence[DigestRow]) -> dict[tuple[str, str], FileDigest]:
    return {(path, mode): FileDigest(digest, size, files, single) for path, mode, digest, size, files, single in rows}


def keep_out_of_git(o: Options) -> None:
    """Local state and data are nobody's source code."""
    with suppress(OSError):
        make_own_folder(o.base)


def _outputs_of(registry: Registry, kind: str) -> dict[str, str] | None:
    """What a native kind offers; None where its provider or type does not exist, which lowering will say."""
    try:
        attributes = registry.type(kind).schema.attributes
    except PlanError:
        return None
    return {"id": "string", **{name: attribute.type for name, attribute in attributes.items()}}


def _removed_but_there(resolved: Resolved, stack: Stack) -> list[Diagnostic]:
    return [
        Diagnostic(
            code="spec.removed_stands",
            message=f"{r.source} is listed under removed, but its block still stands in the spec",
            hint="delete the block, or the removed entry",
        )
        for r in resolved.removed
        if r.source in stack.resources
    ]


def _state_problems(resolved: Resolved) -> list[Diagnostic]:
    """What is wrong with the ``state:`` block, at its place; a setting that is a secret is not shown."""
    if is_default(resolved.state):
        return []
    if not all(is_known(value) for value in resolved.state.values()):
        return []  # said already
    from mlinfra.state.encryption.settings import read_settings

    spans = Spans(_state_node(resolved))
    try:
        settings_of(resolved.state)
        read_settings(resolved.state.get("encryption"), resolved.spec.root)
    except refusal() as error:
        from mlinfra.state.stores.settings import BY_STORE

        found = diagnostics("state store", error, "state", spans, model=BY_STORE[str(resolved.state["store"])])
    except StateError as error:
        found = [replace(d, span=spans.get(d.path)) for d in error.diagnostics]
    else:
        return []
    return [
        replace(d, message=f"state.{d.path[0]} cannot be that secret value", hint="")
        if d.path and isinstance(resolved.state.get(str(d.path[0])), Secret)
        else d
        for d in found
    ]


def _state_node(resolved: Resolved) -> MergedMap | None:
    """Where each state setting that counts was written: in the environment's block, else in the spec's."""
    environment = resolved.spec.environments.get(resolved.environment)
    blocks = [block for block in (resolved.spec.state, environment.state if environment else None) if block is not None]
    if not blocks:
        return None
    merged = MergedMap(blocks[-1].file, blocks[-1].mark)
    for block in blocks:
        for key in block:
            if key in resolved.state:
                merged.take(block, key)
    return merged


def _place(problem: Diagnostic) -> tuple[str, int, int]:
    return (problem.span.file, problem.span.line, problem.span.column) if problem.span else ("", 0, 0)
