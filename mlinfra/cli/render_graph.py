"""The dependency graph in Graphviz's DOT and in Mermaid. An arrow points from a resource to what it needs."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.address import component_of

Graph = Mapping[str, tuple[str, ...]]
"""Resource address → the addresses that it depends on."""


def dot(graph: Graph) -> str:
    """DOT text; the resources of a component that has several stand in one box."""
    lines = ["digraph mlinfra {", "  rankdir = RL;", '  node [shape = box, style = rounded, fontname = "sans-serif"];']
    for index, (component, members) in enumerate(_components(graph).items()):
        if len(members) == 1:
            lines.append(f"  {_dot_text(members[0])};")
            continue
        lines += [f"  subgraph cluster_{index} {{", f"    label = {_dot_text(component)};", "    color = gray;"]
        lines += [f"    {_dot_text(address)};" for address in members]
        lines.append("  }")
    lines += [f"  {_dot_text(a)} -> {_dot_text(b)};" for a, needs in graph.items() for b in needs]
    return "\n".join([*lines, "}"])


def mermaid(graph: Graph) -> str:
    """Mermaid text (``graph RL``)."""
    nodes = list(dict.fromkeys([*graph, *(b for needs in graph.values() for b in needs)]))
    names = {address: f"n{index}" for index, address in enumerate(nodes)}
    lines = ["graph RL"]
    placed: set[str] = set()
    for index, (component, members) in enumerate(_components(graph).items()):
        if len(members) > 1:
            lines.append(f'  subgraph s{index}["{mermaid_text(component)}"]')
            lines += [f'    {names[a]}["{mermaid_text(a)}"]' for a in members]
            lines.append("  end")
            placed.update(members)
    lines += [f'  {names[a]}["{mermaid_text(a)}"]' for a in nodes if a not in placed]
    lines += [f"  {names[a]} --> {names[b]}" for a, needs in graph.items() for b in needs]
    return "\n".join(lines)


def _components(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for address in graph:
        found.setdefault(component_of(address), []).append(address)
    return found


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def mermaid_text(text: str) -> str:
    """Text inside a quoted label."""
    # Mermaid knows HTML's entities with a # in place of the &.
    out = text.replace("#", "#35;")
    for char, entity in (('"', "quot"), ("<", "lt"), (">", "gt")):
        out = out.replace(char, f"#{entity};")
    return out.replace("\n", " ")
