"""Edges between resources, order, cycles, selections. Linear in nodes and edges, never recursive."""
