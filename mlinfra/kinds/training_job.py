"""``training_job``: one run of the user's training code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from mlinfra.kinds.base import Bool, Deferrable, Kind, LocalPath, RefTo, Seconds, Str, is_deferred
from mlinfra.kinds.dataset import local_source
from mlinfra.kinds.expectations import parse_expectation
from mlinfra.model.patterns import pattern

_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def _name(text: str) -> str:
    if not _NAME.match(text):
        raise PydanticCustomError("io_name", "{name} must be letters, digits, - and _", {"name": repr(text)})
    return text


def _variable(text: str) -> str:
    if not _VARIABLE.match(text):
        raise PydanticCustomError("env_name", "{name} is no name of an environment variable", {"name": repr(text)})
    return text


def _expectations(given: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, condition in given.items():
        if not is_deferred(condition):
            try:
                parse_expectation(name, condition)
            except ValueError as error:
                raise PydanticCustomError("expect", "{problem}", {"problem": str(error)}) from None
    return given


def _input(value: Any) -> Any:
    if is_deferred(value) or (isinstance(value, str) and value) or (isinstance(value, Mapping) and "uri" in value):
        return value
    raise PydanticCustomError("input", "an input is a path or a URI, like data/x.csv or ${corpus.uri}")


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({n.upper().replace("-", "_") for n in names}) < len(names):
        raise PydanticCustomError("io_twice", "two outputs would share one environment variable: give them different names")
    return names


_INPUT_SCHEMA = WithJsonSchema({"type": "string", "minLength": 1, "description": "a path, or a URI like ${corpus.uri}"})
Scalar = Annotated[str | int | float | bool, Deferrable()]
Name = Annotated[str, AfterValidator(_name)]
"""Names an input or output: it becomes part of an environment variable."""


class TrainingJob(Kind):
    """Runs ``run`` (``params`` are added to it as ``--name value``) when the code, the parameters, the environment or the
    content of an input changed, and never otherwise. ``artifact`` is the output ``model``, or the first one."""

    summary: ClassVar[str] = "a run of training code, done again only when its code or inputs changed"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string",
        "name": "string",
        "artifact": "string",
        "artifact_digest": "string",
        "outputs": "map",
        "metrics": "map",
        "fingerprint": "string",
    }

    # `outputs` above is what the job offers; the user's own key of that name lands in `writes`, and only by its alias.
    model_config = ConfigDict(populate_by_name=False)

    run: Annotated[str, Field(min_length=1), Deferrable()]
    cluster: Annotated[Any, RefTo(("training_cluster",))] = None
    code: Annotated[str, Deferrable()] = "."
    inputs: Mapping[Name, Annotated[Any, AfterValidator(_input), _INPUT_SCHEMA]] = {}
    params: Mapping[str, Any] = {}
    env: Mapping[Annotated[str, AfterValidator(_variable)], Scalar] = {}
    writes: Annotated[tuple[Name, ...], AfterValidator(_distinct)] = Field(default=("model",), alias="outputs")
    expect: Annotated[Mapping[str, Scalar | tuple[str, ...]], AfterValidator(_expectations)] = {}
    requirements: Annotated[str | tuple[str, ...], Deferrable()] | None = None
    image: Str | None = None
    processes: Annotated[int, Field(ge=1, le=1024), Deferrable()] = 1
    timeout: Annotated[Seconds, Field(gt=0), Deferrable()] | None = None
    run_on_apply: Bool = True
    name: Str | None = None

    def local_paths(self) -> Iterable[LocalPath]:
        if isinstance(self.code, str):
            yield LocalPath(self.code, "code", ("code",))
        if isinstance(self.requirements, str):
            yield LocalPath(self.requirements, "data", ("requirements",))
        for name, value in self.inputs.items():
            path = local_source(value)
            if path is not None:
                yield LocalPath(path, "data", ("inputs", name))
