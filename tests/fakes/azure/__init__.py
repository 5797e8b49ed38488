"""Azure Resource Manager as its published types describe it: an https server for tests, which refuses what they do not allow.

It holds every PUT and PATCH against ``../shared/contracts/azure`` where that is at hand, and against the provider's own condensed data
where it is not (``Azure.source`` says which). Every request is recorded; one that no contract allows is refused and counted in ``invalid``.
"""

from fakes.azure.server import Azure, azure

__all__ = ["Azure", "azure"]
