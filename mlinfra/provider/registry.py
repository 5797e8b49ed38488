"""Finds installed providers through the entry-point group ``mlinfra.providers``: ours come through the same door as anybody's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.schema import Schema
from mlinfra.provider import entries
from mlinfra.provider.contract import Lowering, Provider, ResourceType


class Registry:
    """Providers by name, loaded on first use."""

    def __init__(self, providers: dict[str, Provider] | None = None) -> None:
        """``providers`` replaces the installed ones (tests)."""
        self._loaded: dict[str, Provider] = dict(providers or {})
        self._types: dict[str, ResourceType] = {}
        self._only = providers is not None

    def _place(self, name: str) -> str | None:
        """Where the installed provider is: ``module:attribute``."""
        if self._only:
            return None
        return entries.ours().get(name) or entries.installed().get(name)

    def names(self) -> list[str]:
        return sorted({*self._loaded, *(() if self._only else entries.installed())})

    def get(self, name: str) -> Provider:
        """The provider ``name`` (of instance ``aws.eu``: ``aws``). PlanError when it is not installed or cannot be loaded."""
        name = name.partition(".")[0]
        if name not in self._loaded:
            place = self._place(name)
            if place is None:
                raise PlanError(
                    Diagnostic(
                        code="provider.unknown",
                        message=f"there is no provider {name!r}",
                        hint=self._instead(name),
                    )
                )
            try:
                loaded = _load(place)
            except ImportError as error:
                raise PlanError(
                    Diagnostic(
                        code="provider.missing_dependency",
                        message=f"provider {name!r} cannot be loaded: {error}",
                        hint=f"install it with: pip install 'mlinfra-iac[{name}]'",
                    )
                ) from error
            self._loaded[name] = loaded() if isinstance(loaded, type) else loaded
        return self._loaded[name]

    def _instead(self, name: str) -> str:
        from difflib import get_close_matches

        near = get_close_matches(name, self.names(), n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        return f"{meant}installed: {', '.join(self.names()) or 'none'}"

    def has(self, name: str) -> bool:
        name = name.partition(".")[0]
        return name in self._loaded or self._place(name) is not None

    def type(self, type_name: str) -> ResourceType:
        """The native type ``aws.s3_bucket``; PlanError when its provider has none of that name."""
        known = self._types.get(type_name)
        if known is not None:
            return known
        provider = self.get(type_name)
        if type_name not in provider.types:
            raise PlanError(
                Diagnostic(
                    code="provider.unknown_type",
                    message=f"provider {provider.name!r} has no type {type_name!r}",
                    hint=f"it has: {', '.join(sorted(provider.types))}",
                )
            )
        found = self._types[type_name] = provider.types[type_name]
        return found

    def schema(self, type_name: str) -> Schema:
        """The schema of the native type; PlanError as for :meth:`type`."""
        return self.type(type_name).schema

    def lowering(self, target: str, kind: str) -> Lowering | None:
        """How ``target`` makes ``kind``; None when nobody can."""
        provider = self.get(target)
        if kind in provider.lowerings:
            return provider.lowerings[kind]
        for other in self:
            if kind in other.everywhere:
                return other.lowerings[kind]
        return None

    def __iter__(self) -> Iterator[Provider]:
        for name in self.names():
            yield self.get(name)

    def frozen(self) -> MappingProxyType[str, Provider]:
        return MappingProxyType({p.name: p for p in self})


def _load(place: str) -> Any:
    """What stands at ``module:attribute``."""
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
