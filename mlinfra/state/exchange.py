"""The state as one JSON text for people and tools: what ``state pull`` prints and ``state push`` takes."""

from __future__ import annotations

import json
from typing import Any

from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Map
from mlinfra.state.codec import decode, decode_resource, encode, encode_resource
from mlinfra.state.session import Session

_KEYS = frozenset({"lineage", "serial", "outputs", "sensitive_outputs", "resources"})


def to_text(state: State) -> str:
    """``from_text`` gives the same state back."""
    tree = {
        "lineage": state.lineage,
        "serial": state.serial,
        "outputs": encode(state.outputs),
        "sensitive_outputs": list(state.sensitive_outputs),
        "resources": [encode_resource(r) for _, r in sorted(state.resources.items())],
    }
    return json.dumps(tree, indent=2)


def from_text(text: str, name: str) -> State:
    """StateError, naming the file ``name``, when this is no state of ours."""
    try:
        tree: Any = json.loads(text)
        if not isinstance(tree, dict) or not tree.keys() >= _KEYS:
            raise ValueError("it lacks " + ", ".join(sorted(_KEYS - set(tree if isinstance(tree, dict) else ()))))
        resources: dict[tuple[str, str], ResourceState] = {}
        for item in tree["resources"]:
            r = decode_resource(item)
            if r.key in resources:
                raise ValueError(f"{r.address} stands in it twice")
            resources[r.key] = r
        outputs = decode(tree["outputs"])
        if not isinstance(outputs, Map) or not isinstance(tree["serial"], int) or not isinstance(tree["lineage"], str):
            raise ValueError("its head is not as it should be")
        return State(
            lineage=tree["lineage"],
            serial=tree["serial"],
            resources=resources,
            outputs=outputs,
            sensitive_outputs=tuple(tree["sensitive_outputs"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateError(
            Diagnostic(
                code="state.not_a_state",
                message=f"{name} is no state of mlinfra: {error}",
                hint="push what `mlinfra state pull` printed",
            )
        ) from None


def refuse(pushed: State, current: State) -> None:
    """StateError for another lineage than that of ``current``, an older serial, or a state that is broken in itself."""
    problems: list[Diagnostic] = []
    fresh = _fresh(current)
    if not fresh and pushed.lineage != current.lineage:
        problems.append(
            Diagnostic(
                code="state.foreign",
                message=f"this is another state: its lineage is {pushed.lineage or '(none)'}, and {current.lineage} is recorded here",
                hint="look whether the project and the environment are the right ones; --force pushes it all the same",
            )
        )
    if not fresh and pushed.serial < current.serial:
        problems.append(
            Diagnostic(
                code="state.older",
                message=f"this state is older than the recorded one: serial {pushed.serial} against {current.serial}",
                hint="pull again and make the change in that; --force goes back to it all the same",
            )
        )
    problems += [
        Diagnostic(code="state.broken", message=f"this state is broken: {sentence}", hint="mend it, or push it with --force")
        for sentence in pushed.problems()
    ]
    if problems:
        raise StateError(problems)


async def push(held: Session, pushed: State, *, force: bool) -> None:
    """Put ``pushed`` in the place of what is recorded, or :func:`refuse` it, unless ``force``; the serial grows whatever is pushed."""
    current = replace(held.ledger.freeze(), serial=held.serial_before)
    if not force:
        refuse(pushed, current)
    await held.restore(pushed if _fresh(current) else _grown(pushed, current, held.serial_before))


def _fresh(current: State) -> bool:
    return current.serial == 0 and not current.resources


def _grown(pushed: State, current: State, before: int) -> State:
    """``pushed`` with a serial, and versions of what differs, above all that was recorded: saved plans then see that it moved."""
    resources = {
        key: r
        if (have := current.resources.get(key)) == r
        else replace(r, version=max(r.version, have.version if have else before) + 1)
        for key, r in pushed.resources.items()
    }
    serial = pushed.serial if pushed.serial > before else before + 2  # the session's own entry is the first
    return replace(pushed, resources=resources, serial=serial, lineage=pushed.lineage or current.lineage)
