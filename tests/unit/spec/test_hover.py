"""What editors show over a field."""

from __future__ import annotations

from typing import Any

from mlinfra.spec.hover import known
from mlinfra.spec.json_schema import spec_schema


def models() -> dict[str, dict[str, Any]]:
    found = spec_schema()["$defs"]
    return {name.removeprefix("kind.").rpartition("__")[2]: d["properties"] for name, d in found.items() if "properties" in d}


def test_every_field_of_every_kind_says_what_it_is() -> None:
    silent = [
        f"{model}.{name}" for model, fields in models().items() for name, field in fields.items() if not field.get("description")
    ]
    assert silent == [], "write a line in mlinfra/spec/hover.py"


def test_no_line_is_about_a_field_that_is_not_there() -> None:
    there = {(model, field) for model, fields in models().items() for field in fields}
    assert known() - there == set()
