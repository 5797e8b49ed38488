"""``data``: a value that lives in the state alone; the twin of Terraform's ``terraform_data``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mlinfra.kinds.base import Kind


class Data(Kind):
    """``output`` repeats ``input`` after apply; ``id`` is random and lasts as long as the resource; a change of
    ``triggers_replace`` replaces it."""

    summary: ClassVar[str] = "a value kept in the state: for glue, tests and benchmarks"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "output": "any", "input": "any"}

    input: Any = None
    triggers_replace: Any = None
