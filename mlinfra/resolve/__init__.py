"""From what was written to what is asked for: variables, environment, modules, for_each; ``${…}`` to constants, Refs, Exprs."""

from mlinfra.resolve.resolution import examine, head, resolve
from mlinfra.resolve.resolved import Inputs, Resolved

__all__ = ["Inputs", "Resolved", "examine", "head", "resolve"]
