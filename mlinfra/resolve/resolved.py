"""What resolve takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.component import Component
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.policy import Budget, Policy
from mlinfra.model.values import EMPTY, Map
from mlinfra.resolve.stacks import StackReader
from mlinfra.spec.document import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Where variables come from, weakest first: defaults, environment block, ``environ`` (``MLINFRA_VAR_x``), ``var_files``
    in order, ``variables`` (``--var k=v``: text that is read as the variable's type; other values are taken as they are).

    ``read_stack`` reads other stacks' outputs; without it they are UNKNOWN, and what uses them is not looked at."""

    environment: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    var_files: tuple[FilePath, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    read_stack: StackReader | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    source: str
    destroy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    to: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Everything the later stages need of a spec.

    ``environment``  the chosen one, ``""`` when the spec has none or none was named and there is no default
    ``target``       the environment's default provider instance (``local`` unless said otherwise)
    ``providers``    settings by provider instance, the environment's merged over the spec's
    ``state``        the state block, merged likewise (``store: local`` by default)
    ``components``   in the order written, modules flattened, disabled ones gone; properties checked against their kinds
    ``needs``        component → the components that it refers to or depends on; each stands after what it needs
    ``outputs``      name → value (may hold Ref, Expr, Secret), Refs naming components
    ``variables``    the values of the variables that are not sensitive, for history; ``sensitive`` names the others
    """

    spec: Spec
    project: str
    environment: str = ""
    target: str = "local"
    protect: bool = False
    providers: Mapping[str, Map] = field(default_factory=dict)
    state: Map = EMPTY
    components: tuple[Component, ...] = ()
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    outputs: Map = EMPTY
    sensitive_outputs: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    removed: tuple[Removed, ...] = ()
    imports: tuple[Import, ...] = ()
    variables: Map = EMPTY
    sensitive: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    budget: Budget | None = None
    warnings: tuple[Diagnostic, ...] = ()
    spec_files: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    broken: frozenset[str] = frozenset()
