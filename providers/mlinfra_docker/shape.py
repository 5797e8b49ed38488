"""The engine's answers in the shape of what was asked for: it fills in defaults that nobody asked about."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import Map, Secret, SecretDigest, Value


def shaped(asked: Value, actual: Value) -> Value:
    """``actual`` without what ``asked`` does not mention; secrets where ``asked`` has them. ``asked`` None takes all of it."""
    if asked is None:
        return actual
    if isinstance(asked, (Secret, SecretDigest)):
        return actual if actual is None else Secret(actual)
    if isinstance(asked, Mapping) and isinstance(actual, Mapping):
        return Map({key: shaped(asked[key], actual[key]) for key in asked if key in actual})
    if isinstance(asked, tuple) and isinstance(actual, tuple) and len(asked) == len(actual):
        return tuple([shaped(a, b) for a, b in zip(asked, actual, strict=True)])
    if actual is None and asked in ((), "", 0, False):
        return asked
    if isinstance(asked, str) and isinstance(actual, tuple) and actual == (asked,):
        return asked
    return actual
