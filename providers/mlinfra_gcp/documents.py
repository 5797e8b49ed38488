"""Google's discovery documents, condensed to what this provider uses (``scripts/condense_google_discovery.py`` writes them).

https://developers.google.com/discovery/v1/reference/apis
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from mlinfra.provider.bodies import Property


@dataclass(frozen=True)
class Method:
    """One method: ``path`` has ``{parameter}`` and ``{+parameter}`` (which may hold slashes) in it."""

    name: str
    http: str
    path: str
    params: Mapping[str, Mapping[str, Any]]
    request: str = ""
    response: str = ""
    upload: bool = False


@dataclass(frozen=True)
class Document:
    """One API at one revision."""

    name: str
    service: str
    source: str
    revision: str
    root: str
    prefix: str
    methods: Mapping[str, Method]
    schemas: Mapping[str, Mapping[str, Property]]

    def properties(self, schema: str) -> Mapping[str, Property]:
        return self.schemas[schema]

    @property
    def cited(self) -> str:
        """How a plan names it: ``aiplatform v1, revision 20261106``."""
        return f"{self.service} {self.name.rpartition('.')[2]}, revision {self.revision}"


@cache
def document(name: str) -> Document:
    """The document ``aiplatform.v1`` and so on. KeyError-free: a missing one is a broken installation."""
    tree = json.loads((files(__package__) / "discovery" / f"{name}.json").read_text())
    methods = {
        n: Method(n, m["http"], m["path"], m["params"], m.get("request", ""), m.get("response", ""), m.get("upload", False))
        for n, m in tree["methods"].items()
    }
    schemas = {n: s["props"] for n, s in tree["schemas"].items()}
    return Document(name, tree["service"], tree["source"], tree["revision"], tree["root"], tree["prefix"], methods, schemas)
