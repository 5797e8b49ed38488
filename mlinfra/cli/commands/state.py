"""``mlinfra state …``: look at the recorded state and mend it."""

from __future__ import annotations

import difflib
import sys
from dataclasses import asdict
from pathlib import Path

import click

from mlinfra.cli.approval import approved
from mlinfra.cli.groups import Family
from mlinfra.cli.render_json import resource_json
from mlinfra.cli.render_state import findings_text, resource_text, state_table
from mlinfra.cli.session import Session, common
from mlinfra.model.address import matches
from mlinfra.model.errors import MlinfraError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State


def find(state: State, pattern: str) -> list[ResourceState]:
    """The recorded resources that ``pattern`` names: one, a component's, a module's. MlinfraError when there is none."""
    found = [r for _, r in sorted(state.resources.items()) if matches(pattern, r.address)]
    if not found:
        near = difflib.get_close_matches(pattern, [a for a, _ in state.resources], n=1)
        hint = f"did you mean {near[0]}?" if near else "mlinfra state list shows what there is"
        raise MlinfraError.of("state.no_resource", f"the state has no resource {pattern}", hint=hint)
    return found


@click.group("state", cls=Family, invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Look at the recorded state and mend it."""
    if context.invoked_subcommand is None:
        context.obj.line(context.get_help())


@command.command("list")
@common
@click.argument("pattern", required=False)
def list_(session: Session, pattern: str | None) -> int:
    """List what is recorded: everything, or what PATTERN names (a resource, a component, a module)."""
    from mlinfra import upkeep

    state = upkeep.read_state(session.options())
    found = list(state.resources.values()) if pattern is None else find(state, pattern)
    if session.json:
        return session.data([resource_json(r) for r in sorted(found, key=lambda r: r.key)])
    t = session.terminal
    session.line(state_table(found, style=t.style, width=t.table_width) if found else "The state is empty.")
    return 0


@command.command("show")
@common
@click.argument("address")
def show(session: Session, address: str) -> int:
    """Show one recorded resource, or all of a component."""
    from mlinfra import upkeep

    found = find(upkeep.read_state(session.options()), address)
    if session.json:
        return session.data([resource_json(r) for r in found])
    t = session.terminal
    session.line("\n\n".join(resource_text(r, style=t.style, width=t.width) for r in found))
    return 0


@command.command("mv")
@common
@click.argument("source")
@click.argument("to")
def move(session: Session, source: str, to: str) -> int:
    """Record what stands at SOURCE under the address TO. Better is a `moved` block, which everybody's state follows."""
    from mlinfra import upkeep

    moves = upkeep.state_move(session.options(), source, to)
    if session.json:
        return session.data({"moved": moves})
    session.line(f"Moved {source} to {to}.")
    return 0


@command.command("rm")
@common
@click.argument("addresses", nargs=-1, required=True)
def remove(session: Session, addresses: tuple[str, ...]) -> int:
    """Forget what stands at ADDRESSES. The things themselves stay as they are, and are mlinfra's no more."""
    from mlinfra import upkeep

    forgotten = upkeep.state_remove(session.options(), addresses)
    if session.json:
        return session.data({"forgotten": forgotten})
    for address in forgotten:
        session.line(f"Forgot {address}.")
    return 0


@command.command("taint")
@common
@click.argument("addresses", nargs=-1, required=True)
def taint(session: Session, addresses: tuple[str, ...]) -> int:
    """Mark ADDRESSES as damaged: the next apply replaces them."""
    return _mark(session, addresses, tainted=True)


@command.command("untaint")
@common
@click.argument("addresses", nargs=-1, required=True)
def untaint(session: Session, addresses: tuple[str, ...]) -> int:
    """Trust ADDRESSES again: what an apply left half-made, or `taint` marked, is not replaced."""
    return _mark(session, addresses, tainted=False)


def _mark(session: Session, addresses: tuple[str, ...], *, tainted: bool) -> int:
    from mlinfra import upkeep

    marked = upkeep.state_taint(session.options(), addresses, tainted=tainted)
    if session.json:
        return session.data({"tainted" if tainted else "untainted": marked})
    what = "is tainted: the next apply replaces it" if tainted else "is not tainted any more"
    for address in marked:
        session.line(f"{address} {what}.")
    if not marked:
        session.line(f"Nothing to do: {'all of it is tainted already' if tainted else 'none of it is tainted'}.")
    return 0


@command.command("pull")
@common
def pull(session: Session) -> int:
    """Print the state as it is stored."""
    from mlinfra import upkeep

    session.line(upkeep.state_text(session.options()).rstrip("\n"))
    return 0


@command.command("push")
@common
@click.option("--force", is_flag=True, help="Push another lineage, an older serial or a broken state all the same.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def push(session: Session, file: Path, force: bool) -> int:
    """Put FILE, which `state pull` printed, in the place of the recorded state. The things themselves stay as they are."""
    from mlinfra import upkeep

    pushed = upkeep.state_push(session.options(), file, force=force)
    session.line(f"{file} is the recorded state now." if pushed else f"{file} is what is recorded already.")
    return 0


@command.command("unlock")
@common
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("lock_id")
def unlock(session: Session, lock_id: str, yes: bool) -> int:
    """Break the lock LOCK_ID. Only when its holder is surely gone: a dead holder's lock frees itself."""
    from mlinfra import upkeep

    if not yes and sys.stdin.isatty():
        question = f"Do you really want to break the lock {lock_id}? If its holder lives, its work is cut off in the middle."
        if not approved(session.terminal, question):
            session.line("Nothing was done.")
            return 1
    holder = upkeep.unlock(session.options(), lock_id)
    if session.json:
        return session.data({"unlocked": lock_id, "holder": holder})
    session.line(f"The lock is gone; it was held by {holder}.")
    return 0


@command.command("doctor")
@common
@click.option("--repair", is_flag=True, help="Mend what can be mended without a guess.")
def doctor(session: Session, repair: bool) -> int:
    """Look for what is wrong with the state, and say what to do about each thing. Exit code 1 while a problem is left."""
    from mlinfra import upkeep

    found, repaired = upkeep.doctor(session.options(), mend=repair)
    sick = any(not f.note for f in found)
    if session.json:
        session.data({"findings": [asdict(f) for f in found], "repaired": [asdict(f) for f in repaired]})
        return int(sick)
    t = session.terminal
    if repaired:
        session.line(findings_text(repaired, style=t.style, done=True) + "\n")
    session.line(findings_text(found, style=t.style) if found else "The state is sound.")
    if any(f.safe for f in found) and not repair:
        session.line("\nmlinfra state doctor --repair does what is safe of that.")
    return int(sick)


@command.command("rotate-key")
@common
def rotate_key(session: Session) -> int:
    """Encrypt the state anew with a fresh key, wrapped by `state.encryption.key`. Keys under `previous` can go afterwards."""
    from mlinfra import upkeep

    done = upkeep.rotate_key(session.options())
    if session.json:
        return session.data({"key": done.key, "secrets": done.secrets, "blobs": done.blobs, "left": done.left})
    session.line(f"The state has a new key ({done.key}); {done.secrets} records and {done.blobs} blobs were encrypted anew.")
    if done.left:
        session.line(f"{done.left} blobs were being written by somebody else: run it again to be rid of the old key.")
    return 0
