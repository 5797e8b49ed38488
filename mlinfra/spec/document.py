"""The spec as written: every block checked for shape, no expression evaluated. Values are YamlMap, YamlList and scalars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.component import DEFAULT_LIFECYCLE, Lifecycle
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Span
from mlinfra.model.policy import Budget, Policy
from mlinfra.spec.git_source import GitSource
from mlinfra.spec.positions import YamlMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """``type``: string, integer, number, boolean, list, map or any. ``default`` counts only when ``has_default``."""

    name: str
    type: str = "any"
    default: Any = None
    has_default: bool = False
    description: str = ""
    sensitive: bool = False
    rule: str = ""
    message: str = ""
    span: Span | None = field(default=None, compare=False)
    rule_span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentBlock:
    name: str
    target: str | None = None
    providers: YamlMap | None = None
    variables: YamlMap | None = None
    state: YamlMap | None = None
    protect: bool = False
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceBlock:
    """``properties`` are the kind's own fields (what stood beside the common keys, merged with ``properties:``).

    ``node`` is the whole block; ``property_node(name)`` in resolve uses it for places. ``for_each``, ``enabled``,
    ``target``, ``existing`` and everything in ``properties``/``native``/``tags`` may hold ``${…}`` text.
    """

    name: str
    kind: str
    properties: YamlMap
    node: YamlMap
    target: str | None = None
    for_each: Any = None
    has_for_each: bool = False
    enabled: Any = True
    depends_on: tuple[str, ...] = ()
    description: str = ""
    tags: YamlMap | None = None
    native: YamlMap | None = None
    lifecycle: Lifecycle = DEFAULT_LIFECYCLE
    replace_when: tuple[Any, ...] = ()
    existing: Any = None
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleBlock:
    """``source`` as written: a local folder (``./modules/rag``), or ``git::…``, whose parts are ``git``."""

    name: str
    source: str
    git: GitSource | None = None
    inputs: YamlMap | None = None
    for_each: Any = None
    has_for_each: bool = False
    enabled: Any = True
    depends_on: tuple[str, ...] = ()
    node: YamlMap
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    name: str
    value: Any
    sensitive: bool = False
    description: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    source: str
    to: str
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    source: str
    destroy: bool = True
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    to: str
    id: Any
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBlock:
    """One rule, or the ``file`` that holds some, relative to the spec's folder."""

    policy: Policy | None = None
    file: str = ""
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One folder's spec (or one module's). ``files`` maps each file's name, as shown in spans, to its text.

    ``nodes`` are the files' root maps. ``unreadable`` names what was written but is too broken to stand here (``raw``,
    ``module.rag``, ``vars.size``), so that nobody complains a second time that it does not exist.
    """

    root: FilePath
    files: Mapping[str, str]
    project: str = ""
    version: int = 1
    variables: Mapping[str, Variable] = field(default_factory=dict)
    environments: Mapping[str, EnvironmentBlock] = field(default_factory=dict)
    providers: YamlMap | None = None
    state: YamlMap | None = None
    resources: Mapping[str, ResourceBlock] = field(default_factory=dict)
    modules: Mapping[str, ModuleBlock] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    moved: tuple[Moved, ...] = ()
    removed: tuple[Removed, ...] = ()
    imports: tuple[Import, ...] = ()
    policies: tuple[PolicyBlock, ...] = ()
    stacks: YamlMap | None = None
    budget: Mapping[str, Budget] = field(default_factory=dict)
    unreadable: frozenset[str] = frozenset()
    nodes: tuple[YamlMap, ...] = field(default=(), compare=False, repr=False)
