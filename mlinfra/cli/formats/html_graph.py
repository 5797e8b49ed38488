"""The graph of a plan as a picture in the page: what feeds what, coloured by what happens to it."""

from __future__ import annotations

from html import escape

from mlinfra.cli.formats.facts import Graph, Node
from mlinfra.cli.formats.layout import HEIGHT, WIDTH, Placed, place
from mlinfra.cli.terminal import harmless

_MARKS = {"create": "+", "update": "~", "run": "▶", "replace": "±", "delete": "−", "import": "⇐"}
_LEGEND = {
    "create": "created", "update": "changed", "run": "runs", "replace": "replaced", "delete": "destroyed", "import": "imported",
}  # fmt: skip
_MARGIN = 28
_CHARACTERS = 18
"""Of a name that fit into a node."""


def graph_section(graph: Graph) -> str:
    """The section with the picture, its tools and its legend; nothing where there is no graph to speak of."""
    if not graph.nodes:
        return ""
    placed = place(list(graph.nodes), graph.edges)
    left = f"; {graph.left_out:,} components that do not change are not shown" if graph.left_out else ""
    width, height = placed.width + 2 * _MARGIN, placed.height + 2 * _MARGIN
    box = f"{-_MARGIN} {-_MARGIN} {width:.0f} {height:.0f}"
    edges = "".join(_edge(a, b, placed) for a, b in graph.edges)
    nodes = "".join(_node(node, placed) for node in graph.nodes.values())
    used = {node.action for node in graph.nodes.values()}
    legend = [f'<span><i class="{action}"></i>{text}</span>' for action, text in _LEGEND.items() if action in used]
    legend += ['<span><i class="same"></i>unchanged</span>'] if "" in used else []
    tools = "".join(
        f'<button class="tool js-only" id="zoom-{id}" title="{title}" aria-label="{title}">{text}</button>'
        for id, title, text in (("in", "Zoom in", "+"), ("out", "Zoom out", "−"), ("fit", "Show all of it", "Fit"))
    )
    return (
        f'<h2 id="lineage">Lineage <span class="count">data flows from left to right{left}</span></h2>'
        f'<div class="panel graph"><div class="tools">{tools}</div>'
        f'<svg id="graph" viewBox="{box}" style="aspect-ratio: {width:.0f} / {height:.0f}" role="group" '
        'aria-label="What feeds what" preserveAspectRatio="xMidYMid meet">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerUnits="userSpaceOnUse" markerWidth="10" markerHeight="10" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="context-stroke"/></marker></defs>'
        f'{edges}{nodes}</svg><div class="say" id="say" role="status"></div><div class="legend">{"".join(legend)}</div></div>'
    )


def _edge(a: str, b: str, placed: Placed) -> str:
    (x1, y1), (x2, y2) = placed.at[a], placed.at[b]
    x1, y1, y2 = x1 + WIDTH, y1 + HEIGHT / 2, y2 + HEIGHT / 2
    bend = max((x2 - x1) / 2, 24)
    path = f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2 - 2:.0f} {y2:.0f}"
    return f'<path class="edge" data-from="{_t(a)}" data-to="{_t(b)}" marker-end="url(#tip)" d="{path}"/>'


def _node(node: Node, placed: Placed) -> str:
    x, y = placed.at[node.name]
    says = f"{node.name}, {node.kind}" + (f", {_LEGEND.get(node.action, node.action)}" if node.action else ", unchanged")
    mark = _MARKS.get(node.action, "")
    return (
        f'<g class="node {node.action}" tabindex="0" role="button" aria-label="{_t(says)}" data-name="{_t(node.name)}" '
        f'data-kind="{_t(node.kind)}" transform="translate({x:.0f} {y:.0f})"><title>{_t(node.name)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="9"/><text x="12" y="20">{_t(_short(node.name))}</text>'
        f'<text class="kind" x="12" y="36">{_t(_short(node.kind, 26))}</text>'
        f'<text class="mark" x="{WIDTH - 11}" y="21">{mark}</text></g>'
    )


def _short(text: str, most: int = _CHARACTERS) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _t(text: str) -> str:
    return escape(harmless(text))
