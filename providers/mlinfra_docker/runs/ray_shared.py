"""What all nodes of a Ray cluster see: the volume that a job's code, inputs and outputs lie in."""

from __future__ import annotations

SHARED = "/mlinfra/shared"
"""Where every node has the cluster's volume."""


def shared_volume(cluster: str) -> str:
    """The volume that all nodes of a cluster see."""
    return f"{cluster}-shared"
