"""What all kinds share: the base model, deferrable field types, references to other components.

Models are validated twice: after resolve, when Refs and Exprs may stand where a value is not known yet, and before
lowering, when references have become the outputs of the component they name. A deferred leaf passes every check.
Fields are strict (``"5"`` is no integer), sequences are tuples, unknown keys are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mlinfra.kinds import units
from mlinfra.model.dataclass import dataclass
from mlinfra.model.values import EMPTY, UNKNOWN, Expr, Ref, Secret

EXPRESSION_SCHEMA = {"type": "string", "pattern": r"\$\{"}


def is_deferred(value: object) -> bool:
    """Whether a leaf stands for a value that is not known (or not to be shown) yet."""
    return isinstance(value, (Ref, Expr, Secret)) or value is UNKNOWN


@dataclass(frozen=True, slots=True)
class Deferrable:
    """Annotation: the field takes its own type or an expression. ``Annotated[int, Deferrable()]``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            lambda value, inner: value if is_deferred(value) else inner(value), handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        inner = handler(schema)
        return inner if inner.get("type") == "string" and len(inner) == 1 else {"anyOf": [inner, EXPRESSION_SCHEMA]}


@dataclass(frozen=True, slots=True)
class RefTo:
    """Annotation: ``${name}`` of a component of one of these kinds. A Ref after resolve, the Map of its outputs later."""

    kinds: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def _check(self, value: Any) -> Any:
        wanted = " or ".join(self.kinds)
        if is_deferred(value):
            return value
        if isinstance(value, Mapping) and "kind" in value:
            if self.kinds and value["kind"] not in self.kinds:
                raise PydanticCustomError("reference_kind", "this must refer to a {wanted}, not to a {found}",
                                          {"wanted": wanted, "found": value["kind"]})  # fmt: skip
            return value
        raise PydanticCustomError("reference", "write a reference to a {wanted}, like ${name}", {"wanted": wanted})

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(EXPRESSION_SCHEMA)


def _unit(parse: Any) -> BeforeValidator:
    def convert(value: Any) -> Any:
        if isinstance(value, str):
            try:
                return parse(value)
            except ValueError as error:
                raise PydanticCustomError("unit", "{problem}", {"problem": str(error)}) from None
        return value

    return BeforeValidator(convert, json_schema_input_type=str | float)


Str = Annotated[str, Deferrable()]
Int = Annotated[int, Deferrable()]
Float = Annotated[float, Deferrable()]
Bool = Annotated[bool, Deferrable()]
Bytes = Annotated[int, _unit(units.parse_bytes), Deferrable()]
"""A size in bytes, written ``500GB`` or ``16GiB``."""
Seconds = Annotated[float, _unit(units.parse_seconds), Deferrable()]
"""A duration in seconds, written ``60s``, ``2h``, ``1h30m``."""


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A path of the user's machine, relative to the spec, whose content the engine digests before lowering.

    mode ``data``: every byte; ``code``: a folder with .gitignore and .mlinfraignore honoured, spec files and declared
    data left out. ``field`` is where it was written."""

    path: str
    mode: Literal["data", "code"] = "data"
    field: tuple[str | int, ...] = ()


class Model(BaseModel):
    """Base of every nested part of a kind."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True, populate_by_name=True)


class Kind(Model):
    """Base of a portable kind.

    ``outputs`` declares what ``${name.…}`` offers: name → type (``string``, ``integer``, ``map``, …), so that a misspelt
    one is caught by validate. Every lowering of the kind gives exactly these.
    """

    outputs: ClassVar[Mapping[str, str]] = EMPTY
    summary: ClassVar[str] = ""

    def local_paths(self) -> Iterable[LocalPath]:
        """The local files and folders that this component reads; empty by default."""
        return ()
