"""A plan as a comment on a pull request: risk and cost first, then what changes, differences folded away, the graph.

GitHub takes 65,536 characters; what does not fit is left out in the order of its risk, and the comment says what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlinfra import __version__
from mlinfra.cli.formats.facts import RISK_TITLES, Fact, Graph, Line, facts, graph, line_of
from mlinfra.cli.formats.mermaid import EDGES, plan_mermaid
from mlinfra.cli.render_cost import delta_text, money
from mlinfra.cli.render_plan import closing_line, output_lines
from mlinfra.cli.terminal import harmless
from mlinfra.model.change import RiskLevel
from mlinfra.model.cost import Cost
from mlinfra.model.patterns import pattern
from mlinfra.model.plan import Plan
from mlinfra.model.policy import Effect, Verdict

LIMIT = 65_000
"""Bytes: under GitHub's 65,536 characters, with room for what a pipeline adds."""
_LONGEST = 220
"""Lines of one difference that are shown."""
_ROWS = 200
_ICONS = {
    RiskLevel.DESTROYS_DATA: "🛑", RiskLevel.INTERRUPTS_SERVING: "⚠️", RiskLevel.COSTS_MONEY: "💰", RiskLevel.SAFE: "🟢",
}  # fmt: skip
_SIGNS = {"~": "!", "!": "!"}
_SPECIAL = pattern(r"([\\`*_{}\[\]<>|#~$])")


def marker(plan: Plan) -> str:
    """The line by which a pipeline finds its own comment again."""
    return f"<!-- mlinfra plan: {_plain(plan.project)}/{_plain(plan.environment or 'default')} -->"


def plan_markdown(plan: Plan, *, limit: int = LIMIT) -> str:
    """The comment, never longer than ``limit`` bytes (at least 4,000)."""
    found = facts(plan)
    top = [marker(plan), _heading(plan), *_policies(plan.verdicts), *_risk_and_cost(plan, found)]
    bottom = [f"<sub>mlinfra {__version__} · state serial {plan.serial} · spec `{plan.spec_digest[:12] or '-'}`</sub>"]
    page = _Page(limit - 600, [*top, *bottom])
    page.add(_table(found, page.room), "the table of changes")
    for fact in found:
        if fact.lines:
            page.add(_difference(fact), f"`{fact.name}`", diff=True)
    page.add(_drift(plan), "what was changed outside of mlinfra")
    page.add(_outputs(plan), "outputs")
    page.add(_warnings(plan), "warnings")
    page.add(_graph(graph(plan, most=80)), "the graph")
    return "\n\n".join([*top, *page.parts, *page.notice(), *bottom]) + "\n"


class _Page:
    """Parts that are added while there is room."""

    def __init__(self, limit: int, fixed: Iterable[str]) -> None:
        self.room = limit - sum(_size(part) for part in fixed)
        self.parts: list[str] = []
        self.cut: list[str] = []
        self.cut_differences: list[str] = []

    def add(self, part: str, what: str, *, diff: bool = False) -> None:
        if not part:
            return
        if _size(part) <= self.room:
            self.parts.append(part)
            self.room -= _size(part)
        else:
            (self.cut_differences if diff else self.cut).append(what)

    def notice(self) -> list[str]:
        what = list(self.cut)
        if self.cut_differences:
            n = len(self.cut_differences)
            names = ", ".join(n for n in self.cut_differences[:4] if len(n) < 90)
            more = f" and {n - 4} more" if n > 4 else ""
            what.insert(0, f"the differences of {names}{more}" if names else f"{n} differences")
        if not what:
            return []
        return [
            f"> [!NOTE]\n> Cut to fit into a comment: {'; '.join(what)}. The saved plan has everything: `mlinfra show PLANFILE`."
        ]


def _size(part: str) -> int:
    return len(part.encode()) + 2


def _heading(plan: Plan) -> str:
    where = f" · {_code(plan.environment)}" if plan.environment else ""
    counts = plan.counts()
    lines = [f"## mlinfra plan: {_code(plan.project or 'stack')}{where}", ""]
    closing = closing_line(plan).replace("\n", " ")
    lines.append(f"**{_text(closing)}**")
    if plan.mode == "destroy":
        lines.append("This plan destroys everything that the spec made.")
    elif plan.mode == "refresh_only" and counts.total():
        lines.append("Only the recorded state would change.")
    return "\n".join(lines)


def _policies(verdicts: tuple[Verdict, ...]) -> list[str]:
    """Refusals, warnings and overrides, each a callout."""
    found: list[str] = []
    groups = (
        ("CAUTION", "Refused by policy", [v for v in verdicts if v.refuses]),
        ("WARNING", "Policy warnings", [v for v in verdicts if v.effect is Effect.WARN]),
        ("IMPORTANT", "Policies overridden", [v for v in verdicts if v.effect is Effect.DENY and v.reason]),
    )
    for kind, title, members in groups:
        if members:
            rows = [f"> [!{kind}]", f"> **{title}**"]
            rows += [f"> - **{_text(v.policy)}**{_of(v)}: {_text(v.message)}{_because(v)}" for v in members[:40]]
            rows += [f"> - … and {len(members) - 40} more"] if len(members) > 40 else []
            found.append("\n".join(rows))
    return found


def _of(verdict: Verdict) -> str:
    return f" ({_code(verdict.address)})" if verdict.address else ""


def _because(verdict: Verdict) -> str:
    return f" *Overridden: {_text(verdict.reason)}*" if verdict.reason else ""


def _risk_and_cost(plan: Plan, found: list[Fact]) -> list[str]:
    parts: list[str] = []
    risky = [f for f in found if f.change.risk.level is not RiskLevel.SAFE]
    if risky:
        rows = ["| Risk | Resource | What happens |", "|---|---|---|"]
        for fact in risky[:30]:
            level = fact.change.risk.level
            rows.append(f"| {_ICONS[level]} {RISK_TITLES[level]} | {_cell(fact.name)} | {_text(fact.change.risk.sentence)} |")
        if len(risky) > 30:
            rows.append(f"| | | … and {len(risky) - 30} more |")
        parts.append("\n".join(rows))
    total = plan.cost()
    if total is not None:
        rows = ["| USD a month | Before | After | Difference |", "|---|--:|--:|--:|"]
        priced = [f for f in found if f.change.cost_before != f.change.cost_after]
        for fact in priced[:20]:
            before, after = fact.change.cost_before, fact.change.cost_after
            rows.append(f"| {_cell(fact.name)} | {_money(before)} | {_money(after)} | {_delta(before, after)} |")
        if len(priced) > 20:
            rows.append(f"| … and {len(priced) - 20} more | | | |")
        rows.append(f"| **all of it** | **{money(total.before)}** | **{money(total.after)}** | **{delta_text(total)}** |")
        notes = [f"{len(total.unknown)} without a known price"] if total.unknown else []
        notes += [f"{', '.join(total.sources)}"] if total.sources else []
        notes += [f"as of {total.as_of}"] if total.as_of else []
        parts.append("\n".join(rows) + (f"\n\n<sub>{_text('; '.join(notes))}</sub>" if notes else ""))
    return parts


def _money(cost: Cost | None) -> str:
    if cost is None:
        return "–"
    return "unknown" if cost.monthly is None else money(cost.monthly)


def _delta(before: Cost | None, after: Cost | None) -> str:
    if (before and before.monthly is None) or (after and after.monthly is None):
        return "unknown"
    delta = ((after.monthly or 0.0) if after else 0.0) - ((before.monthly or 0.0) if before else 0.0)
    return money(delta, sign=True)


def _table(found: list[Fact], room: int) -> str:
    if not found:
        return ""
    rows = ["| | Resource | Kind | What happens |", "|:-:|---|---|---|"]
    size = 0
    for shown, fact in enumerate(found):
        why = f": {_text(fact.why)}" if fact.why else ""
        kind = f"{fact.change.kind} · {fact.change.type}" if fact.change.kind else fact.change.type
        row = f"| `{fact.sign or ' '}` | {_cell(fact.name)} | {_text(kind)} | {_text(fact.verb)}{why} |"
        size += _size(row)
        if shown >= _ROWS or size > room * 0.6:
            rows.append(f"| | | | … and {len(found) - shown} more |")
            break
        rows.append(row)
    return "\n".join(rows)


def _difference(fact: Fact) -> str:
    lines = [_marked(line) for line in fact.lines]
    if len(lines) > _LONGEST:
        lines = [*lines[:_LONGEST], f"  … and {len(lines) - _LONGEST} more lines"]
    icon = _ICONS[fact.change.risk.level] + " " if fact.change.risk.level is not RiskLevel.SAFE else ""
    summary = f"{icon}<code>{_html(fact.sign)}</code> <b>{_html(fact.name)}</b> {_html(fact.verb)}"
    return _details(summary, _fenced("\n".join(lines), "diff"))


def _marked(line: Line) -> str:
    """As a ``diff`` block is coloured: ``!`` for what changes."""
    return f"{_SIGNS.get(line.sign, line.sign) or ' '} {line.text}"


def _drift(plan: Plan) -> str:
    if not plan.drift:
        return ""
    rows = []
    for drift in plan.drift:
        what = "is gone" if drift.gone else "differs: " + ", ".join(_difference_text(a.path) for a in drift.attributes[:8])
        rows.append(f"- {_code(drift.address)} {what}")
    return _details(f"Changed outside of mlinfra: {len(plan.drift)}", "\n".join(rows))


def _difference_text(path: tuple[str | int, ...]) -> str:
    return _code(".".join(map(str, path)) or "(all)")


def _outputs(plan: Plan) -> str:
    lines = [_marked(line_of(text)) for text in output_lines(plan.output_changes)]
    return _details(f"Outputs that change: {len(plan.output_changes)}", _fenced("\n".join(lines), "diff")) if lines else ""


def _warnings(plan: Plan) -> str:
    if not plan.warnings:
        return ""
    return "\n".join(["> [!WARNING]", *(f"> - {_text(str(w))}" for w in plan.warnings[:20])])


def _graph(found: Graph) -> str:
    if len(found.nodes) < 2 or not any(node.action for node in found.nodes.values()):
        return ""
    body = _fenced(plan_mermaid(found), "mermaid")
    left = [f"{found.left_out} components that do not change are not shown"] if found.left_out else []
    left += [f"{len(found.edges) - EDGES} edges are not shown"] if len(found.edges) > EDGES else []
    return _details("Graph", body + ("\n\n" + "; ".join(left) if left else ""))


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _text(text: str) -> str:
    """Free text that means nothing to Markdown, and mentions nobody."""
    return _SPECIAL.sub(r"\\\1", _plain(text)).replace("@", "&#64;").replace("\n", " ")


def _code(text: str) -> str:
    text = _plain(text).replace("\n", " ")
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    return f"{ticks}{text}{ticks}" if text else "` `"


def _cell(text: str) -> str:
    return _code(text).replace("|", "\\|")


def _html(text: str) -> str:
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _plain(text: str) -> str:
    return harmless(text).replace("-->", "--\u200b>")
