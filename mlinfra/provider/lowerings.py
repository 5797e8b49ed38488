"""Words that lowerings of clouds are written with: names, references to own resources, optional attributes, texts around unknown values."""

from __future__ import annotations

from typing import Any

from mlinfra.model.address import native
from mlinfra.model.values import Expr, Ref, Value
from mlinfra.provider.contract import LoweringContext
from mlinfra.provider.naming import physical_name


def own(context: LoweringContext, *path: str, role: str = "", key: str | None = None) -> Ref:
    """A reference to an attribute of a resource of this component."""
    return Ref(native(context.address, role, key), path)


def named(context: LoweringContext, role: str = "", *, limit: int = 63, content: Value = None) -> str:
    """The physical name of a component, or of a part of it."""
    address = f"{context.named}-{role}" if role else context.named
    return physical_name(context.project, context.environment, address, limit=limit, content=content)


def given(**values: Any) -> dict[str, Value]:
    """The values that are there."""
    return {name: value for name, value in values.items() if value is not None}


def text(template: str, **values: Value) -> Value:
    """A text around values: ``text("gs://${bucket}/x", bucket=Ref(…))`` is known as soon as they are."""
    if all(isinstance(v, str) for v in values.values()):
        filled = template
        for name, value in values.items():
            filled = filled.replace(f"${{{name}}}", str(value))
        if "${" not in filled:
            return filled
    return Expr(template, tuple(((name,), value) for name, value in values.items()))
