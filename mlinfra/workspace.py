"""Where a spec is worked on: the options of a run, its state, its connections, and the first half of the line
(load → resolve → lower), which collects every problem that there is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mlinfra.lower import lower
from mlinfra.lower.stack import Stack
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, PlanError, SpecError
from mlinfra.model.events import Notice, Sink
from mlinfra.provider.connections import Connections
from mlinfra.provider.contract import FileDigest, ProviderContext
from mlinfra.provider.registry import Registry
from mlinfra.resolve import Inputs, Resolved, examine, resolve
from mlinfra.resolve.files import excluded_paths, read_digests
from mlinfra.spec.document import Spec
from mlinfra.spec.loader import load, read
from mlinfra.state.history import DigestRow
from mlinfra.state.session import Location, Session, open_session
from mlinfra.state.stores.local import LocalStore

Mode = Literal["normal", "destroy", "refresh_only"]
Digests = Mapping[tuple[str, str], FileDigest]

HOME = ".mlinfra"
"""The folder beside the spec that holds local state and local data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person says on the command line. ``directory`` is the spec's folder, ``environ`` the process environment."""

    directory: Path
    environment: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    refresh: bool = True
    mode: Mode = "normal"
    parallelism: int | None = None
    lock_timeout: float = 0.0
    allow_data_loss: bool = False

    @property
    def base(self) -> Path:
        """The spec's folder, absolute."""
        directory = self.directory.resolve()
        return directory.parent if directory.is_file() else directory

    @property
    def inputs(self) -> Inputs:
        return Inputs(environment=self.environment, variables=self.variables, var_files=self.var_files, environ=self.environ)


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
    resolved, more = examine(spec, o.inputs, outputs_of=lambda kind: _outputs_of(registry, kind))
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
    if found:
        raise SpecError(dict.fromkeys(sorted(found, key=_place)))
    return Validated(resolved=resolved, stack=stack, digests=digests, warnings=resolved.warnings)


def location(o: Options, resolved: Resolved) -> Location:
    """Where the state is."""
    store = resolved.state.get("store", "local")
    if store != "local":
        raise SpecError(
            Diagnostic(
                code="state.unknown_store",
                message=f"there is no state store {store!r} in this version",
                hint="use `state: {store: local}` or leave it out",
            )
        )
    path = resolved.state.get("path")
    root = o.base / str(path) if path else o.base / HOME / "state"
    return Location(LocalStore(root), f"{resolved.project}/{resolved.environment or 'default'}/")


def location_now(o: Options) -> Location:
    """The state of the spec in ``o.directory``; only its head is looked at, so that a broken resource does not hide the state."""
    spec, problems = read(o.directory)
    if not spec.project:
        raise SpecError(problems)
    head = resolve(replace(spec, resources={}, modules={}, outputs={}, moved=(), removed=(), imports=()), o.inputs)
    return location(o, head)


@asynccontextmanager
async def session(o: Options, where: Location, operation: str, sink: Sink) -> AsyncIterator[Session]:
    """The right to write the state, for as long as the block lasts. StateLocked names who has it instead."""
    keep_out_of_git(o)
    opened = await asyncio.to_thread(open_session, where, operation, lock_timeout=o.lock_timeout)
    if opened.taken_from is not None:
        sink(Notice(message=f"took over the lock of {opened.taken_from}, which is gone"))
    try:
        yield opened
    finally:
        await opened.close()


def connections(o: Options, resolved: Resolved, registry: Registry) -> Connections:
    """Connections to the providers of a spec, made when first needed."""
    base, excluded = o.base, excluded_paths(resolved)
    where = f"{resolved.project}-{resolved.environment or 'default'}"

    def context(instance: str) -> ProviderContext:
        data = base / HOME / instance.partition(".")[0] / where
        return ProviderContext(
            project=resolved.project, environment=resolved.environment, base=base, data=data, excluded=excluded
        )

    return Connections(registry, resolved.providers, context, parallelism=o.parallelism)


@contextmanager
def spec_from_texts(files: Mapping[str, str]) -> Iterator[Spec]:
    """A spec from its files' texts (of a saved plan, of history). Its modules can be read inside the block only."""
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
    ignore = o.base / HOME / ".gitignore"
    if not ignore.exists():
        with suppress(OSError):
            ignore.parent.mkdir(exist_ok=True)
            ignore.write_text("*\n")


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


def _place(problem: Diagnostic) -> tuple[str, int, int]:
    return (problem.span.file, problem.span.line, problem.span.column) if problem.span else ("", 0, 0)
