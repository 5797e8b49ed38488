"""``data_pipeline``: steps that make data from data, on a schedule or when their code or inputs changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from mlinfra.kinds.base import Bool, Deferrable, Kind, LocalPath, Model, Seconds, Str, is_deferred
from mlinfra.kinds.cron import check_cron
from mlinfra.kinds.dataset import local_source
from mlinfra.kinds.expectations import parse_expectation
from mlinfra.model.patterns import pattern
from mlinfra.model.values import Path

_NAME = pattern(r"[a-z][a-z0-9_]*\Z")
_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z")
Problem = tuple[Path, str]


def _cron(value: Any) -> Any:
    if isinstance(value, str):
        try:
            check_cron(value)
        except ValueError as error:
            raise PydanticCustomError("cron", "{problem}", {"problem": str(error)}) from None
    return value


def _zone(value: Any) -> Any:
    if isinstance(value, str):
        import zoneinfo

        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise PydanticCustomError(
                "timezone", "{zone} is no time zone; write it like Europe/Berlin or UTC", {"zone": value}
            ) from None
    return value


Scalar = Annotated[str | int | float | bool, Deferrable()]
Input = Annotated[
    Any,
    WithJsonSchema(
        {
            "description": "a URI (${corpus.uri}), STEP.OUTPUT of another step, or nothing: the needed output of this name",
            "type": ["string", "null"],
        }
    ),
]
Condition = Annotated[str | int | float | bool | tuple[str, ...], Deferrable()]


class Step(Model):
    """One command. ``inputs`` name what it reads (``MLINFRA_INPUT_<NAME>``), ``outputs`` what it writes
    (``MLINFRA_OUTPUT_<NAME>``). Without a named step output among ``inputs`` it sees the outputs of every step that it needs,
    directly or through others. ``run`` may be left out where ``expect`` alone is the step."""

    run: Str | None = None
    needs: tuple[str, ...] = ()
    inputs: dict[str, Input] = Field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    env: dict[str, Scalar] = Field(default_factory=dict)
    params: dict[str, Scalar] = Field(default_factory=dict)
    expect: dict[str, Condition] = Field(default_factory=dict)
    timeout: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 0

    def taken(self, steps: Mapping[str, Step]) -> dict[str, tuple[str, str]]:
        """Inputs that are outputs of other steps: name → (step, output). Output names are unique in a pipeline."""
        named: dict[str, tuple[str, str]] = {}
        for name, value in self.inputs.items():
            if value is None:
                writer = next((step for step in _ancestors(self, steps) if name in steps[step].outputs), None)
                if writer is not None:
                    named[name] = (writer, name)
            elif isinstance(value, str) and (found := _output_of(value, steps)):
                named[name] = found
        if named:
            return named
        every = {output: (step, output) for step in reversed(_ancestors(self, steps)) for output in steps[step].outputs}
        return {name: source for name, source in every.items() if name not in self.inputs}

    def upstream(self, steps: Mapping[str, Step]) -> tuple[str, ...]:
        """The steps that must be done before: ``needs``, and those whose output an input names."""
        named = [found[0] for value in self.inputs.values() if isinstance(value, str) and (found := _output_of(value, steps))]
        return tuple(dict.fromkeys((*self.needs, *named)))


def _output_of(value: str, steps: Mapping[str, Step]) -> tuple[str, str] | None:
    step, _, output = value.partition(".")
    return (step, output) if step in steps and output in steps[step].outputs else None


def _ancestors(step: Step, steps: Mapping[str, Step]) -> list[str]:
    """Nearest first; steps that do not exist are left out."""
    found: dict[str, None] = {}
    front = [step]
    while front:
        names = [n for s in front for n in s.upstream(steps) if n in steps and n not in found]
        found.update(dict.fromkeys(names))
        front = [steps[n] for n in dict.fromkeys(names)]
    return list(found)


def _checked(steps: dict[str, Step]) -> dict[str, Step]:
    problems = [*_name_problems(steps), *_need_problems(steps), *_content_problems(steps)]
    if problems:
        # A ValidationError raised inside a validator keeps the place of each of its problems.
        raise ValidationError.from_exception_data(
            "steps",
            [
                InitErrorDetails(type=PydanticCustomError("pipeline", "{problem}", {"problem": text}), loc=path, input=None)
                for path, text in problems
            ],
        )
    return steps


def _name_problems(steps: Mapping[str, Step]) -> Iterator[Problem]:
    if not steps:
        yield (), "a pipeline needs at least one step"
    writers: dict[str, str] = {}
    for name, step in steps.items():
        if not _NAME.match(name):
            yield (name,), f"{name!r} is no name of a step: lower-case letters, digits and _"
        for index, output in enumerate(step.outputs):
            if not _NAME.match(output):
                yield (name, "outputs", index), f"{output!r} is no name of an output: lower-case letters, digits and _"
            elif output in writers:
                yield (name, "outputs", index), f"the output {output!r} is written by {writers[output]!r} too; names are unique"
            writers.setdefault(output, name)
        for key in step.inputs:
            if not _NAME.match(key):
                yield (name, "inputs", key), f"{key!r} is no name of an input: lower-case letters, digits and _"
        for key in step.env:
            if not _VARIABLE.match(key):
                yield (name, "env", key), f"{key!r} is no name of an environment variable"


def _need_problems(steps: Mapping[str, Step]) -> Iterator[Problem]:
    for name, step in steps.items():
        for index, need in enumerate(step.needs):
            if need not in steps:
                yield (name, "needs", index), f"there is no step {need!r}; there are {', '.join(steps)}"
        for key, value in step.inputs.items():
            if value is None and key not in step.taken(steps):
                yield (name, "inputs", key), f"no step that {name!r} needs has an output {key!r}: give its URI, or add the step"
    cycle = find_cycle({name: step.upstream(steps) for name, step in steps.items()})
    if cycle:
        yield (cycle[0],), f"steps need each other in a circle: {' → '.join((*cycle, cycle[0]))}"


def _content_problems(steps: Mapping[str, Step]) -> Iterator[Problem]:
    for name, step in steps.items():
        if step.run is None and not step.expect:
            yield (name,), f"the step {name!r} does nothing: give it run or expect"
        if isinstance(step.run, str) and not step.run.strip():
            yield (name, "run"), "an empty command"
        if step.run is None and step.outputs:
            yield (name, "outputs"), f"nothing writes them: the step {name!r} has no run"
        if isinstance(step.timeout, (int, float)) and step.timeout <= 0:
            yield (name, "timeout"), "a timeout is longer than 0"
        for key, value in step.inputs.items():
            if value is not None and not isinstance(value, str) and not is_deferred(value) and not _has_uri(value):
                yield (name, "inputs", key), "an input is a URI, like ${corpus.uri}, or STEP.OUTPUT"
        for key, condition in step.expect.items():
            if not is_deferred(condition):
                try:
                    parse_expectation(key, condition)
                except ValueError as error:
                    yield (name, "expect", key), str(error)


def _has_uri(value: Any) -> bool:
    return isinstance(value, Mapping) and (isinstance(value.get("uri"), str) or is_deferred(value.get("uri")))


def find_cycle(edges: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """One circle of names in which each needs the next; empty when there is none."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = [start]
        walks = [iter(edges[start])]
        while walks:
            following = next(walks[-1], None)
            if following is None:
                done.add(trail.pop())
                walks.pop()
            elif following in trail:
                return tuple(trail[trail.index(following) :])
            elif following in edges and following not in done:
                trail.append(following)
                walks.append(iter(edges[following]))
    return ()


class DataPipeline(Kind):
    """Steps in the order of their ``needs``. A step runs when its code, command, environment or inputs changed; with
    ``schedule`` also whenever that says. ``code`` is the folder that the commands see and run in."""

    summary: ClassVar[str] = "steps that make data from data: Dagster, SageMaker Pipelines, Vertex pipelines, Azure ML"
    outputs: ClassVar[Mapping[str, str]] = {
        "id": "string", "outputs": "map", "metrics": "map", "ui": "string", "fingerprint": "string",
    }  # fmt: skip

    steps: Annotated[dict[str, Step], AfterValidator(_checked)]
    code: Str = "."
    schedule: Annotated[Str | None, AfterValidator(_cron)] = None
    timezone: Annotated[Str, AfterValidator(_zone)] = "UTC"
    run_on_apply: Bool = True
    env: dict[str, Scalar] = Field(default_factory=dict)
    requirements: Annotated[str | tuple[str, ...] | None, Deferrable()] = None
    image: Str | None = None
    ui: Bool = False

    def local_paths(self) -> Iterable[LocalPath]:
        """The code, the requirements file where one is named, and inputs that are local paths."""
        if isinstance(self.code, str):
            yield LocalPath(self.code, "code", ("code",))
        if isinstance(self.requirements, str):
            yield LocalPath(self.requirements, "data", ("requirements",))
        for name, step in self.steps.items():
            taken = step.taken(self.steps)
            for key, value in step.inputs.items():
                path = local_source(value)
                if path is not None and key not in taken:
                    yield LocalPath(path, "data", ("steps", name, "inputs", key))
