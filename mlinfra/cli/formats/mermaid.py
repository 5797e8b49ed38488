"""The graph of a plan in Mermaid, as GitHub and GitLab draw it: data flows from left to right, colours say what happens."""

from __future__ import annotations

from mlinfra.cli.formats.facts import Graph
from mlinfra.cli.render_graph import mermaid_text

EDGES = 280
"""Mermaid refuses more than 500 edges; before that nobody can read it."""

_CLASSES = {
    "create": "fill:#dafbe1,stroke:#1a7f37,color:#0a3d1a",
    "update": "fill:#fff8c5,stroke:#9a6700,color:#4d3300",
    "run": "fill:#ddf4ff,stroke:#0969da,color:#0a3069",
    "replace": "fill:#ffebe9,stroke:#cf222e,color:#82071e,stroke-width:2px",
    "delete": "fill:#ffebe9,stroke:#cf222e,color:#82071e,stroke-dasharray:4",
    "import": "fill:#ddf4ff,stroke:#0969da,color:#0a3069",
}
_SIGNS = {"create": "+", "update": "~", "run": "▶", "replace": "±", "delete": "−", "import": "⇐"}


def plan_mermaid(graph: Graph) -> str:
    """Mermaid text (``graph LR``); edges beyond :data:`EDGES` are left out."""
    ids = {name: f"n{i}" for i, name in enumerate(graph.nodes)}
    lines = ["graph LR"]
    for name, node in graph.nodes.items():
        sign = _SIGNS.get(node.action, "")
        label = mermaid_text(f"{sign} {name}".strip()) + f"<br/><small>{mermaid_text(node.kind)}</small>"
        mark = f":::{node.action}" if node.action in _CLASSES else ""
        lines.append(f'  {ids[name]}["{label}"]{mark}')
    lines += [f"  {ids[a]} --> {ids[b]}" for a, b in graph.edges[:EDGES]]
    used = {node.action for node in graph.nodes.values()}
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items() if name in used]
    return "\n".join(lines)
