"""Helpers: a spec folder written from text, resolved; and what was found wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra.model.component import Component
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.values import Value
from mlinfra.resolve import Inputs, Resolved, examine, resolve
from mlinfra.spec.loader import load


def write(folder: Path, text: str, files: Mapping[str, str] | None = None) -> Path:
    """``text`` is the spec without version and project; ``files`` are further ones by path."""
    for name, content in {"mlinfra.yaml": f"version: 1\nproject: demo\n{text}", **(files or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def resolved(folder: Path, text: str, files: Mapping[str, str] | None = None, **inputs: Any) -> Resolved:
    return resolve(load(write(folder, text, files)), Inputs(**inputs))


def problems(folder: Path, text: str, files: Mapping[str, str] | None = None, **inputs: Any) -> list[Diagnostic]:
    return list(examine(load(write(folder, text, files)), Inputs(**inputs))[1])


def problem(folder: Path, text: str, files: Mapping[str, str] | None = None, **inputs: Any) -> Diagnostic:
    """The only problem."""
    found = problems(folder, text, files, **inputs)
    assert len(found) == 1, [str(p) for p in found]
    return found[0]


def component(found: Resolved, name: str) -> Component:
    return next(c for c in found.components if c.name == name)


def inputs_of(found: Resolved) -> dict[str, Value]:
    """The ``input`` of every data component by address."""
    return {c.name: c.properties.get("input") for c in found.components}


def under_caret(folder: Path, diagnostic: Diagnostic) -> str:
    """The text of the source line from the diagnostic's place on."""
    assert diagnostic.span is not None
    line = (folder / diagnostic.span.file).read_text().splitlines()[diagnostic.span.line - 1]
    return line[diagnostic.span.column - 1 :]
