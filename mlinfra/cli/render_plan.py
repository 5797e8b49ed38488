"""A plan as people read it: what changes, attribute by attribute, why, and what it puts at risk.

The lines that begin with ``#``, and the last one, are worded as Terraform's, because Atlantis, tfcmt and the like read them.
Plain strings throughout, so that ten thousand changes take no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mlinfra.cli.render_cost import change_text, total_text
from mlinfra.cli.render_diagnostics import Sources, diagnostics_text
from mlinfra.cli.render_values import (
    SENSITIVE_TEXT,
    UNKNOWN_TEXT,
    around_difference,
    block,
    inline,
    key_text,
    masked,
)
from mlinfra.cli.terminal import PLAIN, Style, harmless
from mlinfra.model.change import (
    BY_REQUEST,
    HALF_MADE,
    MISSING,
    Action,
    AttributeChange,
    Change,
    Drift,
    Risk,
    RiskLevel,
)
from mlinfra.model.dataclass import dataclass
from mlinfra.model.plan import OutputChange, Plan
from mlinfra.model.policy import as_diagnostic
from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, UNKNOWN, Map, Secret, SecretDigest, Value, path_text

NO_CHANGES = "No changes. Your infrastructure matches the configuration."
_NOTHING_MOVED = "No changes. The world is as it was recorded."
_DELETED_SHOWN = 6
"""Attributes of a deleted resource that are shown; enough to know which one it was."""

_LEGEND = {
    "+": "create",
    "~": "change in place",
    "-": "destroy",
    "-/+": "destroy, then create again",
    "+/-": "create the new one, then destroy the old",
    "<=": "read",
    ">": "import",
    ".": "forget",
}


@dataclass(frozen=True, slots=True)
class _View:
    style: Style
    width: int
    sources: Sources
    resources: Mapping[str, Resource]

    def sign(self, sign: str) -> str:
        """The sign in its colour."""
        if not self.style.color:
            return sign
        paint = {"+": self.style.green, "~": self.style.yellow, "-": self.style.red, "<=": self.style.cyan, ">": self.style.cyan}
        if sign in ("-/+", "+/-"):
            return "/".join(paint[s](s) for s in sign.split("/"))
        return paint.get(sign, self.style.dim)(sign)


def plan_text(
    plan: Plan,
    *,
    style: Style = PLAIN,
    width: int = 80,
    sources: Sources | None = None,
    resources: Mapping[str, Resource] | None = None,
) -> str:
    """The whole plan; its last line is ``Plan: 4 to add, 1 to change, 0 to destroy.`` or the sentence that nothing changes.

    ``resources`` are all that the spec asks for: they tell the place of what has drifted and is not to be changed."""
    view = _View(style, width, sources or Sources(), resources or plan.resources)
    parts: list[str] = []
    if plan.drift:
        parts.append(_drift_section(plan, view))
    shown = [c for c in plan.changes if c.action is not Action.NOOP or c.moved_from]
    if shown:
        parts.append(_legend(shown, view))
        parts.extend("\n".join(group) for group in _groups(shown, view))
    if plan.output_changes:
        parts.append(_outputs_section(plan.output_changes, view))
    if plan.verdicts:
        parts.append(diagnostics_text([as_diagnostic(v) for v in plan.verdicts], view.sources, style=style, width=width))
    if plan.warnings:
        parts.append(diagnostics_text(plan.warnings, view.sources, style=style, width=width))
    total = None if plan.is_empty else plan.cost()
    if total is not None:
        parts.append(style.cyan(total_text(total)))
    parts.append(closing_line(plan, style))
    return "\n\n".join(parts)


def closing_line(plan: Plan, style: Style = PLAIN) -> str:
    """The line that tools read, after a line about what it does not count."""
    if plan.is_empty:
        if plan.mode == "refresh_only":
            return style.bold("Only the recorded state would change; nothing in the world." if plan.drift else _NOTHING_MOVED)
        return style.bold(style.green(NO_CHANGES))
    counts = plan.counts()
    extra = [f"{counts['run']} will run your code"] if counts["run"] else []
    if counts["forget"]:
        extra.append(f"{counts['forget']} will be forgotten and left as {'they are' if counts['forget'] > 1 else 'it is'}")
    imports = f"{counts['import']} to import, " if counts["import"] else ""
    line = f"Plan: {imports}{counts['add']} to add, {counts['change']} to change, {counts['destroy']} to destroy."
    return (f"{'; '.join(extra)}.\n" if extra else "") + style.bold(line)


def _legend(changes: Iterable[Change], view: _View) -> str:
    used = {sign_of(c) for c in changes} - {""}
    if not used:
        return view.style.bold("mlinfra will only record that resources have moved:")
    legend = [f"  {s.rjust(3).replace(s, view.sign(s))} {meaning}" for s, meaning in _LEGEND.items() if s in used]
    return "\n".join([view.style.bold("mlinfra will perform the following actions:"), *legend])


def _groups(changes: list[Change], view: _View) -> Iterable[list[str]]:
    """The changes by component, in the order in which components first appear; the kind is told where one has several resources."""
    by_component: dict[str, list[Change]] = {}
    for change in changes:
        by_component.setdefault(change.component or change.address, []).append(change)
    for members in by_component.values():
        kind = next((c.kind for c in members if c.kind), "") if len(members) > 1 else ""
        yield [line for change in members for line in _change(change, kind, view)]


_SIGNS = {
    Action.CREATE: "+", Action.UPDATE: "~", Action.DELETE: "-", Action.READ: "<=", Action.IMPORT: ">", Action.FORGET: ".",
}  # fmt: skip


def sign_of(change: Change) -> str:
    """``+``, ``~``, ``-``, ``-/+``, ``+/-``, ``<=``, ``>``, ``.``; ``""`` when nothing happens to it."""
    if change.action is Action.REPLACE:
        return "+/-" if change.create_first else "-/+"
    return _SIGNS.get(change.action, "")


_VERBS = {
    Action.CREATE: "will be created",
    Action.UPDATE: "will be updated in-place",
    Action.DELETE: "will be destroyed",
    Action.READ: "will be read during apply",
    Action.IMPORT: "will be imported",
    Action.FORGET: "will no longer be managed by mlinfra, but will not be destroyed",
}


def _verb(change: Change) -> str:
    """What happens to it, in Terraform's words: ``will be updated in-place``."""
    if change.action is Action.REPLACE:
        if change.reason == BY_REQUEST:
            return "will be replaced, as requested"
        return "is tainted, so must be replaced" if change.reason == HALF_MADE else "must be replaced"
    return _VERBS[change.action]


def _how(change: Change) -> str:
    """What its verb does not tell: that its code runs, that the new one comes first, whence it is imported; and why."""
    reason = change.reason
    if change.runs and not reason and change.action is Action.UPDATE:
        reason = ", ".join(dict.fromkeys(path_text(a.path[:2]) for a in change.attributes)) + " changed"
    if reason == BY_REQUEST or any(a.forces_replacement for a in change.attributes):
        reason = ""
    reason = reason.removeprefix("runs again").removeprefix(": ").strip()
    how = ""
    if change.runs and change.action in (Action.CREATE, Action.UPDATE):
        how = " and runs" if change.action is Action.CREATE else " runs again"
    elif change.action is Action.REPLACE and change.create_first:
        how = ", the new one first"
    elif change.action is Action.IMPORT:
        how = f" from {_id_text(change.import_id)}"
    return harmless(how + (f" {reason}" if reason.startswith("if ") else f": {reason}" if reason else ""))


def _id_text(id: str) -> str:
    return repr(id) if " " in id or not id else id


def _change(change: Change, kind: str, view: _View) -> list[str]:
    style = view.style
    sign = sign_of(change)
    lines = [f"  # {_headline(change, style)}"]
    if change.moved_from and sign:
        lines.append(f"  # {style.dim(harmless(f'(moved from {change.moved_from})'))}")
    pad = " " * (3 - max(1, len(sign)))
    of_kind = f" ({harmless(kind)})" if kind else ""
    lines.append(f"{pad}{view.sign(sign) if sign else ' '} {harmless(change.type)}{of_kind}{_how(change)}")
    if change.may_be_noop:
        lines.append(f"      {style.dim('may turn out unchanged: its inputs are known only after apply')}")
    lines += _attributes(change, view)
    cost = change_text(change)
    if cost:
        lines.append(f"      {style.cyan(f'$ {cost}')}")
    said = bool(cost) and change.risk.level is RiskLevel.COSTS_MONEY
    if not said and (change.risk.level is not RiskLevel.SAFE or change.risk.sentence):
        lines.append(f"      {_risk(change.risk, style)}")
    return lines


def _headline(change: Change, style: Style) -> str:
    name = style.bold(harmless(change.address))
    if change.action is Action.NOOP:
        return f"{style.bold(harmless(change.moved_from))} has moved to {name}"
    if change.deposed:
        name += f" (deposed object {harmless(change.deposed)})"
    verb = _verb(change)
    return f"{name} {style.red(verb) if change.action in (Action.DELETE, Action.REPLACE) else verb}"


def _risk(risk: Risk, style: Style) -> str:
    label = risk.level.value.replace("_", " ")
    paint: Callable[[str], str] = {
        RiskLevel.SAFE: style.dim, RiskLevel.COSTS_MONEY: style.cyan, RiskLevel.INTERRUPTS_SERVING: style.yellow,
    }.get(risk.level, style.alarm)  # fmt: skip
    if risk.level is RiskLevel.SAFE:
        return paint(f"· {harmless(risk.sentence)}")
    return paint(f"⚠ {label}: {harmless(risk.sentence)}" if risk.sentence else f"⚠ {label}")


def _attributes(change: Change, view: _View) -> list[str]:
    if change.action in (Action.UPDATE, Action.REPLACE, Action.IMPORT):
        return _differences(change.attributes, view)
    sensitive = {a.path for a in change.attributes if a.sensitive}
    if change.action in (Action.CREATE, Action.READ):
        wanted = change.after or EMPTY
        return _tree(masked(wanted, sensitive) if sensitive else wanted, "+", view)
    if change.action is Action.DELETE:
        recorded = {k: v for k, v in (change.before or EMPTY).items() if v not in (None, "", (), EMPTY)}
        kept = Map(dict(list(recorded.items())[:_DELETED_SHOWN]))
        lines = _tree(masked(kept, sensitive) if sensitive else kept, "-", view, single=True)
        more = len(recorded) - len(kept)
        return [*lines, *([f"        {view.style.dim(f'… and {more} more')}"] if more else [])]
    return []


def _tree(tree: Mapping[str, Value], sign: str, view: _View, *, single: bool = False) -> list[str]:
    """Every top-level attribute of something that appears or goes; what is empty says nothing and is left out."""
    named = [(key_text(k), v) for k, v in tree.items() if v not in (None, "", (), EMPTY)]
    named.sort(key=lambda pair: pair[1] is UNKNOWN)
    longest = min(max([len(n) for n, _ in named], default=0), 30)
    painted = view.sign(sign)
    lines: list[str] = []
    for name, value in named:
        room = view.width - longest - 11
        if single:
            text = inline(value)
            first, rest = (text if len(text) <= room else text[: max(room - 1, 1)] + "…"), []
        else:
            first, *rest = block(value, room, indent="        ")
        lines.append(f"      {painted} {name.ljust(longest)} = {_value(first, view)}")
        lines += rest
    return lines


def _value(text: str, view: _View) -> str:
    return view.style.dim(text) if text in (UNKNOWN_TEXT, SENSITIVE_TEXT) else text


def _differences(attributes: Iterable[AttributeChange], view: _View) -> list[str]:
    lines: list[str] = []
    for a in attributes:
        lines += _difference(path_text(a.path) or "(all)", a.before, a.after, a.sensitive, view)
        if a.forces_replacement:
            name = harmless(path_text(a.path))
            note = f"forces replacement: {harmless(a.forces_replacement)}"
            lines.append(f"        {view.style.red('^' * max(1, len(name)))} {view.style.red(note)}")
    return lines


def _difference(path: str, before: Value, after: Value, sensitive: bool, view: _View) -> list[str]:
    name = harmless(path)
    sign = "+" if before is MISSING else "-" if after is MISSING else "~"
    start = f"      {view.sign(sign)} {name} = "
    room = view.width - len(name) - 11
    if sensitive or isinstance(before, (Secret, SecretDigest)) or isinstance(after, (Secret, SecretDigest)):
        return [start + view.style.dim("(sensitive, changed)" if sign == "~" else SENSITIVE_TEXT)]
    if sign != "~":
        first, *rest = block(after if sign == "+" else before, room, indent="        ")
        return [start + _value(first, view), *rest]
    if isinstance(before, str) and isinstance(after, str) and ("\n" in before or "\n" in after):
        return [start + view.style.dim("(text)"), *_text_difference(before, after, view)]
    old, new = inline(before), inline(after)
    if len(old) + len(new) + 3 <= room:
        return [f"{start}{old} → {_value(new, view)}"]
    if isinstance(before, str) and isinstance(after, str):
        before, after = around_difference(before, after, max(60, view.width - 16))
    removed, *more_removed = block(before, view.width - 12, indent="            ")
    added, *more_added = block(after, view.width - 12, indent="            ")
    return [
        start.rstrip(),
        f"          {view.style.red('-')} {removed}",
        *more_removed,
        f"          {view.style.green('+')} {added}",
        *more_added,
    ]


def _text_difference(before: str, after: str, view: _View) -> list[str]:
    """A line-by-line difference of two texts, with one line around each place."""
    from difflib import unified_diff

    lines: list[str] = []
    for line in list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))[2:]:
        sign, text = line[:1], harmless(line[1:])
        if sign == "@":
            if lines:
                lines.append(f"          {view.style.dim('  …')}")
        elif sign == " ":
            lines.append(f"            {text}")
        else:
            lines.append(f"          {view.sign(sign)} {text}")
    return lines or [f"          {view.style.dim('(only the ends of lines differ)')}"]


def _drift_section(plan: Plan, view: _View) -> str:
    lines = [view.style.bold("Changed outside of mlinfra:"), ""]
    for drift in plan.drift:
        lines += _drift(drift, view)
    return "\n".join(lines)


def _drift(drift: Drift, view: _View) -> list[str]:
    resource = view.resources.get(drift.address)
    place = view.style.dim(f"  at {view.sources.place(resource.span)}") if resource is not None and resource.span else ""
    name = f"{view.style.bold(harmless(drift.address))} ({harmless(drift.type)})"
    if drift.gone:
        return [f"  {view.sign('-')} {name} {view.style.red('is gone')}{place}"]
    return [f"  {view.sign('~')} {name} differs from what was recorded{place}", *_differences(drift.attributes, view)]


def change_lines(change: Change, *, width: int) -> list[str]:
    """What changes in it, a line a difference, without colours and without its heading."""
    return _attributes(change, _View(PLAIN, width, Sources(), {}))


def output_lines(changes: Iterable[OutputChange], *, width: int = 100) -> list[str]:
    """What changes of the outputs, a line a difference, without colours."""
    return _output_differences(changes, _View(PLAIN, width, Sources(), {}))


def _outputs_section(changes: Iterable[OutputChange], view: _View) -> str:
    return "\n".join([view.style.bold("Changes to Outputs:"), *_output_differences(changes, view)])


def _output_differences(changes: Iterable[OutputChange], view: _View) -> list[str]:
    lines: list[str] = []
    for change in changes:
        before = change.before
        if before is None and change.after is not None:
            before = MISSING
        after = MISSING if change.after is None and change.before is not None else change.after
        if isinstance(before, str) and after is UNKNOWN:
            before = around_difference(before, "", 60)[0]
        lines += [line[4:] if line.startswith("      ") else line for line in
                  _difference(change.name, before, after, change.sensitive, view)]  # fmt: skip
    return lines
