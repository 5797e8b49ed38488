"""What a change of the spec means: the plans of two git revisions against the same recorded state, and what tells them apart."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import MlinfraError, SpecError
from mlinfra.model.events import Sink, discard
from mlinfra.model.plan import Plan, Step
from mlinfra.provider.registry import Registry
from mlinfra.workflow import Planned, plan
from mlinfra.workspace import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """``planned`` is the later revision's plan with only what the earlier one's does not say; ``pending`` are the addresses that
    both would change alike (not applied yet); ``dropped`` those that only the earlier one would change."""

    planned: Planned
    base: str
    head: str
    pending: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def spec_difference(o: Options, revisions: str, sink: Sink = discard, *, registry: Registry | None = None) -> Difference:
    """``BASE..HEAD``, ``BASE...HEAD`` (from where they parted), or ``BASE`` (to the files as they are). The world is not looked at:
    the state tells what stands, so that no cloud's credentials are needed. SpecError for revisions that there are not."""
    registry = registry or Registry()
    o = replace(o, refresh=False, state_base=o.base)
    root = Path(_git(o.base, "rev-parse", "--show-toplevel").strip())
    base, head = _names(root, revisions)
    folder = o.directory.resolve().relative_to(root.resolve())
    with _checkout(root, base, folder) as there:
        before = _plan_of(replace(o, directory=there), base, sink, registry)
    if not head:
        after = plan(o, sink, registry=registry)
    else:
        with _checkout(root, head, folder) as there:
            later = _plan_of(replace(o, directory=there), head, sink, registry)
        if later is None:
            raise _problem(f"there is no spec at {head}")
        after = later
    return _difference(before.plan if before is not None else Plan(), after, base, head or "working tree")


def _plan_of(o: Options, revision: str, sink: Sink, registry: Registry) -> Planned | None:
    """The revision's plan; None where it has no spec yet."""
    if not (o.directory.is_file() or (o.directory.is_dir() and any(o.directory.glob("*.y*ml")))):
        return None
    try:
        return plan(o, sink, registry=registry)
    except MlinfraError as error:
        told = [replace(d, message=f"at {revision}: {d.message}") for d in error.diagnostics]
        raise type(error)(told) from error


def _difference(before: Plan, after: Planned, base: str, head: str) -> Difference:
    then = {_key(c): c for c in before.changes}
    pending: list[str] = []
    kept: list[Change] = []
    for change in after.plan.changes:
        earlier = then.pop(_key(change), None)
        if change.action is Action.NOOP and not change.moved_from:
            kept.append(change)
            if earlier is not None and earlier.action is not Action.NOOP:
                then[_key(change)] = earlier
        elif earlier is not None and _same(earlier, change):
            pending.append(change.address)
        else:
            kept.append(change)
    dropped = tuple(c.address for c in then.values() if c.action is not Action.NOOP)
    made = after.plan
    outputs = {c.name: c for c in before.output_changes}
    shown = replace(
        made,
        changes=tuple(kept),
        steps=tuple(_reindexed(made, kept)),
        output_changes=tuple(c for c in made.output_changes if outputs.get(c.name) != c),
        drift=(),
        verdicts=tuple(v for v in made.verdicts if v.address not in pending),
        moves=tuple(m for m in made.moves if m not in before.moves),
    )
    return Difference(planned=replace(after, plan=shown), base=base, head=head, pending=tuple(pending), dropped=dropped)


def _reindexed(made: Plan, kept: Sequence[Change]) -> Iterator[Step]:
    where = {id(c): i for i, c in enumerate(kept)}
    for step in made.steps:
        index = where.get(id(made.changes[step.change]))
        if index is not None:
            yield replace(step, change=index, needs=())


def _key(change: Change) -> tuple[str, str]:
    return (change.address, change.deposed)


def _same(a: Change, b: Change) -> bool:
    return (a.action, a.type, a.after, a.attributes) == (b.action, b.type, b.after, b.attributes)


def _names(root: Path, revisions: str) -> tuple[str, str]:
    """The two commits by name; the later one ``""`` for the working tree."""
    left, three, right = revisions.partition("...")
    if three:
        left, right = left or "HEAD", right or "HEAD"
        return _commit(root, _git(root, "merge-base", _commit(root, left), _commit(root, right)).strip()), _commit(root, right)
    left, two, right = revisions.partition("..")
    return _commit(root, left or "HEAD"), _commit(root, right or "HEAD") if two else ""


def _commit(root: Path, name: str) -> str:
    if name.startswith("-"):
        raise _problem(f"{name!r} is no git revision")
    try:
        return _git(root, "rev-parse", "--short", "--verify", "--end-of-options", f"{name}^{{commit}}").strip()
    except SpecError:
        raise _problem(f"there is no git revision {name!r} here") from None


@contextmanager
def _checkout(root: Path, revision: str, folder: Path) -> Iterator[Path]:
    """The repository's files at ``revision`` in a folder of their own; the spec's place in it."""
    with tempfile.TemporaryDirectory(prefix="mlinfra-diff-") as there:
        packed = _run(root, "archive", "--format=tar", revision)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(there, filter="data")
        yield Path(there) / folder


def _git(folder: Path, *words: str) -> str:
    return _run(folder, *words).decode(errors="replace")


def _run(folder: Path, *words: str) -> bytes:
    folder = folder if folder.is_dir() else folder.parent
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise _problem("git is not on the PATH") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise _problem(f"git {words[0]}: {said[-1].removeprefix('fatal: ') if said else 'failed'}")
    return done.stdout


def _problem(message: str) -> SpecError:
    hint = "mlinfra diff main..HEAD, or mlinfra diff main for the files as they are"
    return SpecError(Diagnostic(code="diff.git", message=message, hint=hint))
