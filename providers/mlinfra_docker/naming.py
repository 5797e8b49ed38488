"""Physical names on the engine: ``PREFIX-PROJECT-ENV-ADDRESS``, since an engine is shared by projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlinfra.model.values import Value
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.naming import physical_name

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

_LIMIT = 63
"""A container's name is a host name on its network."""


def named(context: LoweringContext, role: str = "", *, content: Value = None) -> str:
    """The name of an object of this component; ``role`` tells several apart, ``content`` adds a digest of what is immutable."""
    return _name(str(context.settings.get("prefix") or ""), context.project, context.environment, context.named, role, content)


def network_of(context: LoweringContext) -> str:
    """The network that the stack's own containers share."""
    return stack_name(str(context.settings.get("prefix") or ""), context.project, context.environment)


def name_at(client: DockerClient, address: str) -> str:
    """The name of an object that the spec gives none."""
    return _name(client.config.prefix, client.project, client.environment, address, "", None)


def stack_name(prefix: str, project: str, environment: str) -> str:
    """``tickets-ci``."""
    return physical_name(prefix, project, environment, limit=_LIMIT)


def _name(prefix: str, project: str, environment: str, address: str, role: str, content: Any) -> str:
    start = f"{prefix}-{project}" if prefix else project
    return physical_name(start, environment, f"{address}-{role}" if role else address, content=content, limit=_LIMIT)
