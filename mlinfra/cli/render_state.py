"""The recorded state, its history and the world's status as people read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from mlinfra.cli.render_values import SENSITIVE_TEXT, block, inline, key_text
from mlinfra.cli.tables import table
from mlinfra.cli.terminal import PLAIN, Style, harmless
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Secret, SecretDigest, Value

if TYPE_CHECKING:
    from mlinfra.state.doctor import Finding


def state_text(state: State, *, style: Style = PLAIN, width: int = 80) -> str:
    """Every recorded resource with its attributes, then the outputs."""
    if not state.resources and not state.outputs:
        return "The state is empty: nothing has been applied yet."
    parts = [resource_text(r, style=style, width=width) for _, r in sorted(state.resources.items())]
    if state.outputs:
        parts.append(f"{style.bold('Outputs:')}\n\n{outputs_text(state.outputs, state.sensitive_outputs, width=width)}")
    return "\n\n".join(parts)


def resource_text(r: ResourceState, *, style: Style = PLAIN, width: int = 80) -> str:
    """One recorded resource: what it is, its attributes, what it depends on."""
    marks = [
        *(["tainted"] if r.tainted else []),
        *([f"deposed {r.deposed}"] if r.deposed else []),
        *(["protected"] if r.protect else []),
        *(["only looked up"] if r.existing else []),
    ]
    head = f"{style.bold(harmless(r.address))} ({harmless(r.type)}){style.yellow(' ' + ', '.join(marks)) if marks else ''}"
    lines = [head, *_assignments({"id": r.id, **{k: v for k, v in r.attributes.items() if k != "id"}}, "    ", width)]
    if r.dependencies:
        lines.append(style.dim(f"    needs: {', '.join(harmless(d) for d in r.dependencies)}"))
    return "\n".join(lines)


def outputs_text(outputs: Mapping[str, Value], sensitive: Collection[str] = (), *, width: int = 80) -> str:
    """``name = value`` a line; what is sensitive is not shown."""
    return "\n".join(_assignments({k: Secret(v) if k in sensitive else v for k, v in sorted(outputs.items())}, "", width))


def _assignments(values: Mapping[str, Value], indent: str, width: int) -> list[str]:
    longest = min(max((len(key_text(k)) for k in values), default=0), 30)
    lines: list[str] = []
    for key, value in values.items():
        name = key_text(key).ljust(longest)
        first, *rest = block(value, width - len(indent) - len(name) - 3, indent=indent)
        lines += [f"{indent}{name} = {first}", *rest]
    return lines


def raw_text(value: Value) -> str | None:
    """A string, number or boolean without quotes, for scripts; None when the value is something else or secret."""
    if isinstance(value, (Secret, SecretDigest)):
        return None
    if isinstance(value, str):
        return value
    return inline(value) if isinstance(value, (bool, int, float)) else None


def value_text(value: Value, *, width: int = 80) -> str:
    """One value, on as many lines as it needs."""
    return SENSITIVE_TEXT if isinstance(value, (Secret, SecretDigest)) else "\n".join(block(value, width))


def state_table(resources: Iterable[ResourceState], *, style: Style = PLAIN, width: int = 0) -> str:
    """Address, type and id of each, sorted by address."""
    rows = [
        (r.address, r.type, r.id + (f" (deposed {r.deposed})" if r.deposed else "") + (" (tainted)" if r.tainted else ""))
        for r in sorted(resources, key=lambda r: r.key)
    ]
    return table(("address", "type", "id"), rows, style=style, width=width)


def findings_text(findings: Iterable[Finding], *, style: Style = PLAIN, done: bool = False) -> str:
    """What the doctor found, each with what to do; or what he mended (``done``)."""
    lines: list[str] = []
    for f in findings:
        word = style.green("mended") if done else style.dim("note") if f.note else style.yellow("problem")
        lines.append(f"{word}: {harmless(f.message)} [{f.code}]")
        if f.remedy and not done:
            lines.append(f"    {harmless(f.remedy)}")
    return "\n".join(lines)
