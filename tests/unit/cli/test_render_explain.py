"""What a kind's fields are, and what a component becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from mlinfra.cli.render_explain import address_text, kind_json, kind_text, type_text
from mlinfra.kinds import catalog
from mlinfra.kinds.base import Bytes, Deferrable, Int, Kind, Model, RefTo, Seconds, Str
from mlinfra.model.component import Component
from mlinfra.model.diagnostic import Span
from mlinfra.model.resource import Resource
from mlinfra.model.values import Ref, freeze


class Part(Model):
    size: Bytes
    inner: Mapping[str, Part] | None = None


class Sample(Kind):
    """What it is.

    And ``more`` about it.
    """

    summary: ClassVar[str] = "a sample"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "endpoint_url": "string"}

    bucket: Annotated[Any, RefTo(("bucket",))]
    parts: Mapping[str, Part] = Field(default_factory=dict, description="The parts by ``name``.")
    mode: Literal["fast", "slow"] = "fast"
    timeout: Seconds = 60.0


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Str, "string"),
        (Int | None, "integer"),
        (Bytes | None, "size (500GB)"),
        (Seconds, "duration (60s)"),
        (tuple[Str, ...], "list of string"),
        (Mapping[str, Int | Str], "map of integer | string"),
        (Annotated[Literal["a", "b"], Deferrable()], '"a" | "b"'),
        (Part, "object"),
        (Any, "any"),
    ],
)
def test_types_are_said_in_the_spec_s_words(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


def test_a_kind_is_explained_with_fields_defaults_and_outputs() -> None:
    text = kind_text("sample", Sample)
    assert text.startswith("sample: a sample\n\n  What it is.\n\n  And more about it.\n\nFields\n")
    assert "  bucket   reference to bucket  required\n" in text
    assert "      The parts by name.\n      size   size (500GB)  required\n" in text
    assert '  mode     "fast" | "slow"  default "fast"\n' in text
    assert "  ${NAME.id}            string\n  ${NAME.endpoint_url}  string\n" in text


def test_a_kind_that_holds_itself_is_explained_once() -> None:
    fields = kind_json("sample", Sample)["fields"]
    assert [f["name"] for f in fields[1]["fields"]] == ["size", "inner"]
    assert "fields" not in fields[1]["fields"][1]


@pytest.mark.parametrize("name", catalog.NAMES)
def test_every_kind_can_be_explained_in_eighty_columns_of_plain_words(name: str) -> None:
    text = kind_text(name, catalog.form(name))
    assert text.startswith(f"{name}: ")
    assert "<class" not in text and "typing." not in text and "Annotated" not in text
    assert "${NAME.id}" in text


def test_an_address_shows_the_native_resources_with_references_as_written() -> None:
    component = Component(kind="endpoint", name="api", target="local", span=Span("mlinfra.yaml", 9, 3))
    resources = (
        Resource(address="api", type="local.endpoint", provider="local", attributes=freeze({"model": Ref("fit", ("artifact",))})),
        Resource(address="api.log", type="local.bucket", provider="local", depends_on=("api",)),
    )
    assert address_text(component, resources) == (
        "api (endpoint) becomes 2 native resources on local  at mlinfra.yaml:9:3\n\n"
        "  api (local.endpoint)\n      model = ${fit.artifact}\n\n"
        "  api.log (local.bucket)\n      after: api"
    )


def test_every_field_of_a_kind_is_explained_in_a_line_also_those_of_its_parts() -> None:
    text = kind_text("endpoint", catalog.kind("endpoint"))
    assert "      models behind the one URL, by name, with their shares of the traffic\n" in text
    assert "      traffic  integer\n          its weight: 90 and 10 split like 9 and 1\n" in text
    variants = next(f for f in kind_json("endpoint", catalog.kind("endpoint"))["fields"] if f["name"] == "variants")
    assert all(f["description"] for f in variants["fields"])
