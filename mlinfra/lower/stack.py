"""What lowering gives: the wanted resources of a whole spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from mlinfra.model.component import Component
from mlinfra.model.dataclass import dataclass
from mlinfra.model.resource import Resource
from mlinfra.model.values import EMPTY, Map


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """``resources`` by address, in dependency order of their components; ``outputs`` of the spec, Refs naming resources;
    ``components`` by address; ``settings`` of every provider instance that is used, as its provider understands them."""

    resources: Mapping[str, Resource] = field(default_factory=dict)
    outputs: Map = EMPTY
    sensitive_outputs: tuple[str, ...] = ()
    components: Mapping[str, Component] = field(default_factory=dict)
    settings: Mapping[str, Map] = field(default_factory=dict)
