"""``data``: a value that lives in the state alone; the twin of Terraform's ``terraform_data``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mlinfra.model.dataclass import dataclass, maker


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """``output`` repeats ``input`` after apply; ``id`` is random and lasts as long as the resource; a change of
    ``triggers_replace`` replaces it."""

    summary: ClassVar[str] = "a value kept in the state: for glue, tests and benchmarks"
    outputs: ClassVar[Mapping[str, str]] = {"id": "string", "output": "any", "input": "any"}

    input: Any = None
    triggers_replace: Any = None

    @classmethod
    def model_validate(cls, given: Mapping[str, Any]) -> Data:
        """As the models of all other kinds do it. Its fields take whatever there is, so that only names can be wrong: a spec of
        ``data`` alone never imports pydantic, which takes longer than all the rest of a start-up."""
        if not given.keys() <= _FIELDS:
            from mlinfra.kinds.data_form import DataForm

            DataForm.model_validate(given)
        return _data(**given)


_data = maker(Data)
_FIELDS = frozenset(("input", "triggers_replace"))
