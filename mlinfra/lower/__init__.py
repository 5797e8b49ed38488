"""Portable components to native resources: validates kinds, follows references, calls the providers' lowerings. Pure."""

from mlinfra.lower.lowering import lower
from mlinfra.lower.stack import Stack

__all__ = ["Stack", "lower"]
