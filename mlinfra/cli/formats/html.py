"""A plan as one web page that needs nothing but itself: no network, no server. What is on it stands in the HTML; the script only
finds, filters, folds and colours. Its content policy forbids it to load anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib import resources

from mlinfra import __version__
from mlinfra.cli.formats.facts import RISK_TITLES, RISKS, Fact, Line, facts, graph, line_of
from mlinfra.cli.formats.html_graph import graph_section
from mlinfra.cli.render_cost import delta_text, money
from mlinfra.cli.render_plan import closing_line, output_lines
from mlinfra.cli.terminal import harmless
from mlinfra.model.change import Action, RiskLevel
from mlinfra.model.cost import Cost
from mlinfra.model.plan import Plan
from mlinfra.model.policy import Effect, Verdict
from mlinfra.model.values import path_text

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CLASSES = {"+": "a", "-": "d", "~": "m", "!": "w"}
_ACTION_TITLES = {
    "create": "create", "run": "run", "update": "change", "replace": "replace", "delete": "destroy", "import": "import",
    "forget": "forget", "read": "read", "no-op": "move",
}  # fmt: skip
_KEYS = (
    ("/", "search"), ("j  k", "next, previous change"), ("Enter", "open or close it"), ("e", "open or close all"),
    ("g", "to the graph; Tab moves on, Enter chooses"), ("t", "light or dark"), ("Esc", "show everything again"),
)  # fmt: skip


def plan_html(plan: Plan) -> str:
    """The whole page."""
    found = facts(plan)
    ids = {id(fact): f"c{number}" for number, fact in enumerate(found)}
    where = f'<span class="env">/ {_t(plan.environment)}</span>' if plan.environment else ""
    title = f"{plan.project}{'/' + plan.environment if plan.environment else ''}: plan"
    parts = [
        _tiles(plan),
        *_policies(plan.verdicts),
        _risks(found, ids),
        _costs(plan, found),
        graph_section(graph(plan)) if found else "",
        _changes(found, ids),
        _drift(plan),
        _outputs(plan),
        _warnings(plan),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en" data-theme="light"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">',
            f"<title>{_t(title)}</title>",
            f"<style>{_asset('page.css')}</style></head><body>",
            f'<header class="bar"><div><h1>{_t(plan.project or "stack")} {where}</h1>{_state(plan)}<span class="grow"></span>',
            '<button class="tool js-only" id="theme" title="Light or dark (t)">Light / dark</button>',
            '<button class="tool js-only" id="keys" title="Keys (?)">Keys</button></div></header>',
            "<main>",
            *(part for part in parts if part),
            "</main>",
            _footer(plan),
            _help(),
            f"<script>{_asset('page.js')}</script></body></html>",
        ]
    )


def _asset(name: str) -> str:
    return resources.files("mlinfra.cli.formats").joinpath("page", name).read_text(encoding="utf-8")


def _t(text: object) -> str:
    return escape(harmless(str(text)))


def _state(plan: Plan) -> str:
    if plan.refused:
        return '<span class="pill no">refused by policy</span>'
    worst = min((c.risk.level for c in plan.changes), key=RISKS.index, default=RiskLevel.SAFE)
    if plan.is_empty:
        return '<span class="pill none">no changes</span>'
    if worst is RiskLevel.SAFE:
        return '<span class="pill ok">safe</span>'
    kind = "no" if worst is RiskLevel.DESTROYS_DATA else "warn"
    return f'<span class="pill {kind}">{RISK_TITLES[worst].lower()}</span>'


def _tiles(plan: Plan) -> str:
    counts = plan.counts()
    names = (("add", "to add"), ("change", "to change"), ("destroy", "to destroy"), ("run", "run your code"))
    more = [(n, t) for n, t in (("import", "to import"), ("forget", "to forget")) if counts[n]]
    tiles = [
        f'<div class="tile to-{name}{" zero" if not counts[name] else ""}"><b>{counts[name]:,}</b><span>{text}</span></div>'
        for name, text in (*names, *more)
    ]
    total = plan.cost()
    if total is not None:
        tiles.append(f'<div class="tile cost"><b>{money(total.after)}</b><span>USD a month ({delta_text(total)})</span></div>')
    return f'<div class="tiles">{"".join(tiles)}</div><p class="found">{_t(closing_line(plan))}</p>'


def _policies(verdicts: Sequence[Verdict]) -> list[str]:
    groups = (
        ("no", "Refused by policy", [v for v in verdicts if v.refuses]),
        ("", "Policy warnings", [v for v in verdicts if v.effect is Effect.WARN]),
        ("ok", "Policies overridden", [v for v in verdicts if v.effect is Effect.DENY and v.reason]),
    )
    return [
        f'<section class="callout {kind}" role="note"><p>{title}</p><ul>{"".join(map(_verdict, members))}</ul></section>'
        for kind, title, members in groups
        if members
    ]


def _verdict(v: Verdict) -> str:
    about = f" <code>{_t(v.address)}</code>" if v.address else ""
    because = f" <em>Overridden: {_t(v.reason)}</em>" if v.reason else ""
    return f"<li><b>{_t(v.policy)}</b>{about}: {_t(v.message)}{because}</li>"


def _risks(found: Sequence[Fact], ids: dict[int, str]) -> str:
    risky = [f for f in found if f.change.risk.level not in (RiskLevel.SAFE, RiskLevel.COSTS_MONEY)]
    if not risky:
        return ""
    rows = "".join(
        f'<tr><td><span class="dot {f.change.risk.level.value}"></span> {RISK_TITLES[f.change.risk.level]}</td>'
        f"<td>{_link(f, ids)}</td><td>{_t(f.change.risk.sentence)}</td></tr>"
        for f in risky
    )
    head = "<tr><th>What</th><th>Resource</th><th>How</th></tr>"
    return f'<h2>At risk <span class="count">{len(risky)}</span></h2><div class="panel scroll"><table>{head}{rows}</table></div>'


def _link(fact: Fact, ids: dict[int, str]) -> str:
    anchor = ids[id(fact)]
    return f'<a href="#{anchor}" data-change="{anchor}"><code>{_t(fact.name)}</code></a>'


def _costs(plan: Plan, found: Sequence[Fact]) -> str:
    total = plan.cost()
    if total is None:
        return ""
    rows = [(f.change.address, f.change.cost_before, f.change.cost_after) for f in found]
    rows = [r for r in rows if r[1] is not None or r[2] is not None]
    rows += [(address, cost, cost) for address, cost in plan.standing.items()]
    quiet = [c for c in plan.changes if c.action is Action.NOOP and c.cost_after is not None and not c.moved_from]
    body = "".join(_cost_row(*row) for row in rows[:200])
    if len(rows) > 200:
        body += f'<tr><td colspan="4"><small>and {len(rows) - 200} more</small></td></tr>'
    if quiet:
        known = sum(c.cost_after.monthly or 0.0 for c in quiet if c.cost_after)
        body += (
            f'<tr><td>{len(quiet)} that do not change</td><td class="num">{money(known)}</td>'
            f'<td class="num">{money(known)}</td><td class="num">{money(0.0)}</td></tr>'
        )
    delta = _difference(total.delta) if total.delta_is_known else f'<td class="num">{delta_text(total)}</td>'
    foot = (
        f'<tr><td>All of it</td><td class="num">{money(total.before)}</td><td class="num">{money(total.after)}</td>{delta}</tr>'
    )
    notes = [f"by {', '.join(total.sources)}"] if total.sources else []
    notes += [f"oldest figure of {total.as_of}"] if total.as_of else []
    notes += [f"price unknown, not in the sum: {', '.join(total.unknown)}"] if total.unknown else []
    head = '<tr><th>Resource</th><th class="num">Before</th><th class="num">After</th><th class="num">Difference</th></tr>'
    said = f'<p class="found">{_t("; ".join(notes))}</p>' if notes else ""
    heading = '<h2>Cost <span class="count">USD a month of 730 hours</span></h2>'
    return f'{heading}<div class="panel scroll"><table>{head}{body}<tfoot>{foot}</tfoot></table></div>{said}'


def _cost_row(address: str, before: Cost | None, after: Cost | None) -> str:
    about = after or before
    sentence = f"<small>{_t(about.sentence)}</small>" if about and about.sentence else ""
    unknown = any(c is not None and c.monthly is None for c in (before, after))
    delta = ((after.monthly or 0.0) if after else 0.0) - ((before.monthly or 0.0) if before else 0.0)
    cells = "".join(f'<td class="num">{"" if c is None else money(c.monthly)}</td>' for c in (before, after))
    return (
        f"<tr><td><code>{_t(address)}</code>{sentence}</td>{cells}"
        f"{'<td class=num>unknown</td>' if unknown else _difference(delta)}</tr>"
    )


def _difference(delta: float) -> str:
    kind = "up" if delta > 0 else "down" if delta < 0 else ""
    return f'<td class="num {kind}">{money(delta, sign=True) if delta else money(0.0)}</td>'


def _changes(found: Sequence[Fact], ids: dict[int, str]) -> str:
    if not found:
        return '<h2>Changes</h2><div class="panel empty">Nothing changes.</div>'
    risks = Counter(f.change.risk.level for f in found)
    actions = Counter(action_of(f) for f in found)
    chips = [_chip("risk", r.value, RISK_TITLES[r], risks[r], f'<span class="dot {r.value}"></span>') for r in RISKS if risks[r]]
    chips += [_chip("action", a, title, actions[a]) for a, title in _ACTION_TITLES.items() if actions[a]]
    tools = (
        '<div class="find" role="search"><input id="search" type="search" placeholder="Search changes ( / )" '
        f'aria-label="Search changes" autocomplete="off">{"".join(chips)}'
        '<button class="tool js-only" id="expand" title="Open or close all (e)">Open all</button>'
        '<button class="tool" id="clear" hidden>Show all</button></div><p class="found" id="found" role="status"></p>'
    )
    groups = "".join(
        f'<div class="group"><h3><span class="dot {risk.value}"></span>{RISK_TITLES[risk]}</h3>'
        + "".join(_change(f, ids[id(f)]) for f in found if f.change.risk.level is risk)
        + "</div>"
        for risk in RISKS
        if risks[risk]
    )
    return f'<h2 id="changes">Changes <span class="count">{len(found)}</span></h2>{tools}{groups}'


def _chip(of: str, value: str, title: str, count: int, dot: str = "") -> str:
    return f'<button class="chip js-only" data-of="{of}" data-value="{value}" aria-pressed="false">{dot}{title} <i>{count}</i></button>'


def action_of(fact: Fact) -> str:
    """``run`` where the user's code runs, else the action."""
    return "run" if fact.change.runs and fact.change.action is Action.UPDATE else fact.change.action.value


def _change(fact: Fact, anchor: str) -> str:
    change, action = fact.change, action_of(fact)
    rows: list[tuple[str, str]] = []
    if fact.why:
        rows.append(("why", _t(fact.why)))
    if change.risk.sentence:
        rows.append(("risk", _t(change.risk.sentence)))
    if change.may_be_noop:
        rows.append(("note", "may turn out unchanged: its inputs are known only after apply"))
    if change.moved_from:
        rows.append(("moved from", f"<code>{_t(change.moved_from)}</code>"))
    about = change.cost_after or change.cost_before
    if about is not None:
        rows.append(("cost", _t(f"{money(about.monthly)} USD a month" + (f": {about.sentence}" if about.sentence else ""))))
    notes = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows)
    facts_ = f"<dl>{notes}</dl>" if notes else ""
    opened = " open" if change.risk.level is RiskLevel.DESTROYS_DATA else ""
    kind = f"{change.kind} · {change.type}" if change.kind else change.type
    return (
        f'<details class="change" id="{anchor}" data-risk="{change.risk.level.value}" data-action="{action}" '
        f'data-component="{_t(change.component or change.address)}"{opened}><summary><span class="sign {action}">{_t(fact.sign or "·")}'
        f'</span><span class="name">{_t(fact.name)}</span><span class="what">{_t(fact.verb)}</span>'
        f'<span class="type">{_t(kind)}</span></summary><div class="body">{facts_}{_diff(fact.lines)}</div></details>'
    )


def _diff(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    rows = "".join(f'<span class="{_CLASSES.get(i.sign, "")}" data-s="{_t(i.sign)}">{_t(i.text) or " "}</span>' for i in lines)
    return f'<div class="diff">{rows}</div>'


def _drift(plan: Plan) -> str:
    if not plan.drift:
        return ""
    rows = "".join(
        f"<tr><td><code>{_t(d.address)}</code></td><td>"
        + (
            "is gone"
            if d.gone
            else "differs: " + ", ".join(f"<code>{_t(path_text(a.path) or '(all)')}</code>" for a in d.attributes)
        )
        + "</td></tr>"
        for d in plan.drift
    )
    heading = f'<h2>Changed outside of mlinfra <span class="count">{len(plan.drift)}</span></h2>'
    return f'{heading}<div class="panel scroll"><table>{rows}</table></div>'


def _outputs(plan: Plan) -> str:
    lines = output_lines(plan.output_changes)
    if not lines:
        return ""
    shown = [line_of(text) for text in lines]
    return f'<h2>Outputs <span class="count">{len(plan.output_changes)}</span></h2><div class="panel">{_diff(shown)}</div>'


def _warnings(plan: Plan) -> str:
    if not plan.warnings:
        return ""
    rows = "".join(f"<li>{_t(w)}</li>" for w in plan.warnings)
    return f'<h2>Warnings</h2><section class="callout"><ul>{rows}</ul></section>'


def _footer(plan: Plan) -> str:
    steps = f"{len(plan.steps):,} step{'s' if len(plan.steps) != 1 else ''}"
    return (
        f"<footer>mlinfra {__version__} · {steps} · state serial {plan.serial} · lineage <code>{_t(plan.lineage[:12] or '-')}</code>"
        f" · spec <code>{_t(plan.spec_digest[:12] or '-')}</code></footer>"
    )


def _help() -> str:
    rows = "".join(f"<dt>{' '.join(f'<kbd>{_t(k)}</kbd>' for k in keys.split())}</dt><dd>{_t(what)}</dd>" for keys, what in _KEYS)
    close = '<form method="dialog"><button class="tool">Close</button></form>'
    return f'<dialog id="help"><h2>Keys</h2><dl>{rows}</dl>{close}</dialog>'
