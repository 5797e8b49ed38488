"""What pydantic says of a kind's fields becomes one plain sentence a mistake, at the place that was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, Field, ValidationError, model_validator

from mlinfra.kinds import catalog
from mlinfra.kinds.base import Bool, Bytes, Float, Int, Kind, Model, RefTo, Str
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.values import EMPTY, freeze
from mlinfra.spec.kind_errors import diagnostics
from mlinfra.spec.positions import Spans
from mlinfra.spec.yaml_reader import read_yaml


def _no_shouting(name: str) -> str:
    if name.isupper():
        raise ValueError(f"{name!r} shouts")
    return name


class Step(Model):
    run: Str
    needs: tuple[Str, ...] = ()
    amounts: Mapping[str, Int | Str] = EMPTY


class Round(Model):
    shape: Literal["round"]
    radius: Float


class Square(Model):
    shape: Literal["square"]
    side: Float


class Sample(Kind):
    steps: Mapping[Annotated[str, AfterValidator(_no_shouting)], Step] = EMPTY
    count: Annotated[Int, Field(ge=1, le=3)] = 1
    size: Bytes | None = None
    mode: Literal["fast", "slow"] = "fast"
    many: Literal["a1", "b2", "c3", "d4", "e5", "f6", "g7"] = "a1"
    flag: Bool = False
    either: Int | Step | None = None
    form: Annotated[Round | Square, Field(discriminator="shape")] | None = None
    bucket: Annotated[Any, RefTo(("bucket",))] = None
    start: Int = Field(1, alias="from")
    names: tuple[Str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Sample:
        if self.count == 2:
            raise ValueError("count 2 brings bad luck")
        return self


def found(text: str) -> list[Diagnostic]:
    node = read_yaml(text, "f.yaml").value
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(freeze(dict(node)))
    return diagnostics("sample", caught.value, "it", Spans(node), model=Sample)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{cuont: 1}", "f.yaml:1:2: a sample has no key 'cuont' (did you mean 'count'?)"),
        ("{enabeld: false}", "f.yaml:1:2: a sample has no key 'enabeld' (did you mean 'enabled'?)"),
        ("{count: many}", "f.yaml:1:9: it.count must be a whole number, not the text 'many'"),
        ("{count: '2'}", "f.yaml:1:9: it.count must be a whole number, not the text '2' (remove the quotes)"),
        ("{count: 1.5}", "f.yaml:1:9: it.count must be a whole number, not the number 1.5"),
        ("{count: 7}", "f.yaml:1:9: it.count must be at most 3, not the number 7"),
        ("{count: 2}", "f.yaml:1:1: it: count 2 brings bad luck"),
        ("{flag: yes}", "f.yaml:1:8: it.flag must be true or false, not the text 'yes' (write true)"),
        ("{mode: fats}", "f.yaml:1:8: it.mode must be 'fast' or 'slow', not the text 'fats' (did you mean 'fast'?)"),
        ("{many: x}", "f.yaml:1:8: it.many cannot be the text 'x' (allowed: a1, b2, c3, d4, e5, f6, g7)"),
        ("{size: 5 apples}", "f.yaml:1:8: it.size: '5 apples' is no size; write it like 500GB or 16GiB"),
        ("{bucket: raw}", "f.yaml:1:10: it.bucket: write a reference to a bucket, like ${name} (write ${raw})"),
        ("{from: x}", "f.yaml:1:8: it.from must be a whole number, not the text 'x'"),
        ("{names: x}", "f.yaml:1:9: it.names must be a list, not the text 'x' (write [x])"),
        ("{names: [x, 2.6]}", "f.yaml:1:13: it.names[1] must be text, not the number 2.6 (quote it to make it text)"),
        ("{steps: [x]}", "f.yaml:1:9: it.steps must be a map, not a list"),
        ("{steps: {a: {}}}", "f.yaml:1:10: it.steps.a needs 'run'"),
        ("{steps: {a: {rum: x}}}", "f.yaml:1:14: it.steps.a has no key 'rum' (did you mean 'run'?)"),
        ("{steps: {a: {run: x, zz: 1}}}", "f.yaml:1:22: it.steps.a has no key 'zz' (allowed: run, needs, amounts)"),
        ("{steps: {A: {run: x}}}", "f.yaml:1:10: it.steps.A: 'A' shouts"),
        ("{steps: {a: {run: x, amounts: {k: 1.5}}}}",
         "f.yaml:1:35: it.steps.a.amounts.k must be a whole number or text, not the number 1.5 (quote it to make it text)"),
        ("{either: x}", "f.yaml:1:10: it.either must be a whole number or a map, not the text 'x'"),
        ("{either: {run: 5}}", "f.yaml:1:16: it.either.run must be text, not the number 5 (quote it to make it text)"),
        ("{form: {shape: rond, radius: 1.5}}", "f.yaml:1:8: it.form.shape must be 'round' or 'square', not the text 'rond' "
         "(did you mean 'round'?)"),
        ("{form: {radius: 1.5}}", "f.yaml:1:8: it.form needs 'shape'"),
        ("{form: {shape: round, radius: x}}", "f.yaml:1:31: it.form.radius must be a number, not the text 'x'"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_plain_sentence(text: str, expected: str) -> None:
    assert [str(d) for d in found(text)] == [expected]


def test_all_mistakes_are_found_at_once() -> None:
    text = "count: 9\nmode: x\nsteps:\n  a: {rum: x, needs: b}\nzz: 1\n"
    assert sorted((d.code, d.span.line if d.span else 0) for d in found(text)) == [
        ("spec.bad_type", 4),
        ("spec.bad_value", 1),
        ("spec.bad_value", 2),
        ("spec.unknown_key", 4),
        ("spec.unknown_key", 5),
    ]


def test_diagnostics_carry_the_address_and_the_path() -> None:
    (problem,) = found("{steps: {a: {run: x, needs: [1]}}}")
    assert (problem.address, problem.path) == ("it", ("steps", "a", "needs", 0))


def test_values_that_came_from_an_expression_are_shown_where_it_stands() -> None:
    node = read_yaml("{steps: '${vars.steps}'}", "f.yaml").value
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"steps": {"a": {"run": 5}}})
    (problem,) = diagnostics("sample", caught.value, "it", Spans(node), model=Sample)
    assert str(problem) == "f.yaml:1:9: it.steps.a.run must be text, not the number 5 (quote it to make it text)"


@pytest.mark.parametrize("name", catalog.NAMES)
def test_every_kind_suggests_its_own_fields(name: str) -> None:
    model = catalog.form(name)
    field = next(iter(model.model_fields))
    wrong = f"{field}x"
    node = read_yaml(f"{{{wrong}: 1}}", "f.yaml").value
    with pytest.raises(ValidationError) as caught:
        model.model_validate(freeze(dict(node)))
    hints = [d.hint for d in diagnostics(name, caught.value, "it", Spans(node)) if d.code == "spec.unknown_key"]
    assert hints == [f"did you mean {model.model_fields[field].alias or field!r}?"]
