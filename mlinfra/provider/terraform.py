"""How a provider's native types are called in Terraform, so that tools that read Terraform's plans (checkov, OPA, …) read ours.

A provider offers the table as ``terraform``, a mapping from its native types to :class:`TerraformType`; a native that has no
counterpart is left out and keeps its own name, with ``_`` for the dot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Protocol, runtime_checkable

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern
from mlinfra.model.values import EMPTY, Map, Value

Shape = Callable[[Map], Mapping[str, Value] | None]
"""From our attributes to Terraform's. UNKNOWN and Secret leaves may stand anywhere and are passed on. None: there is none. Pure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A second Terraform resource for what is one native here: the public access block of a bucket.

    ``parent``  its attribute that names the first one (``bucket``)."""

    name: str
    shape: Shape
    parent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformType:
    """``name``        ``aws_s3_bucket``
    ``attributes``  ours → theirs where it is not simply ours in snake_case; ``""``: Terraform has none of it
    ``shape``       what takes more than another name: gives further attributes, which count before the renamed ones
    ``verbatim``    attributes (ours) in which keys are the user's own and stay as they are (labels, environment variables)
    ``beside``      further resources of which Terraform makes one each
    """

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    shape: Shape | None = None
    verbatim: tuple[str, ...] = ("Tags", "tags", "labels", "Environment", "env")
    beside: tuple[Beside, ...] = ()


@runtime_checkable
class SpeaksTerraform(Protocol):
    """A provider whose natives have names in Terraform."""

    terraform: Mapping[str, TerraformType]


def attribute_name(known: TerraformType | None, name: str) -> str:
    """What Terraform calls the top-level attribute; ``""`` when it has none of it."""
    if known is None:
        return name
    return known.attributes.get(name, snake(name))


def shaped(known: TerraformType | None, attributes: Map) -> Map:
    """The attributes as Terraform has them; the very same tree for a type without a counterpart."""
    if known is None:
        return attributes
    out: dict[str, Value] = {}
    for name, value in attributes.items():
        theirs = attribute_name(known, name)
        if theirs:
            out[theirs] = value if name in known.verbatim else _renamed(value)
    if known.shape is not None:
        out.update(known.shape(attributes) or EMPTY)
    return Map(out)


def _renamed(value: Value) -> Value:
    if isinstance(value, Map):
        return Map({snake(k): _renamed(v) for k, v in value.items()})
    return tuple([_renamed(v) for v in value]) if isinstance(value, tuple) else value


def block(value: Value) -> Value:
    """A map, and every map in it, as Terraform's block (a list of one), names in snake_case; lists of maps as blocks."""
    if isinstance(value, Map):
        return (inner(value),)
    if isinstance(value, tuple):
        return tuple([inner(v) if isinstance(v, Map) else v for v in value])
    return value


def inner(value: Map) -> Map:
    """What stands in one block."""
    return Map({snake(k): block(v) for k, v in value.items()})


_HUMPS = pattern(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake(name: str) -> str:
    """``KmsKeyId`` → ``kms_key_id``, ``machineType`` → ``machine_type``."""
    return _HUMPS.sub("_", name).replace("-", "_").lower() if name.isidentifier() or "-" in name else name
