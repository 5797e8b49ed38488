"""How far a change reaches: the steps that it touches, and what the others will still give."""

from __future__ import annotations

from collections.abc import Mapping

from mlinfra.model.values import EMPTY, UNKNOWN, Map, Value, is_known


def kept(recorded: Map, wanted: Map) -> Mapping[str, Value]:
    """The outputs (name → URI) after a run of ``wanted``: as recorded for the steps that no change reaches, else UNKNOWN.

    Empty when nothing is sure: the code changed, or results are missing (no fingerprint is recorded)."""
    before: Value = recorded.get("outputs")
    if not recorded.get("fingerprint") or not isinstance(before, Mapping):
        return {}
    if any(recorded.get(name) != wanted.get(name) for name in ("code", "requirements", "image")):
        return {}
    reached = _reached(recorded.get("steps", EMPTY), wanted.get("steps", EMPTY))
    outputs = {
        output: UNKNOWN if name in reached else before.get(output, UNKNOWN)
        for name, step in wanted["steps"].items()
        for output in step.get("outputs", ())
    }
    return {"outputs": Map(outputs)}


def _reached(before: Mapping[str, Map], after: Mapping[str, Map]) -> set[str]:
    """The steps that are new or differ, and all that need one of them."""
    reached = {name for name, step in after.items() if not is_known(step) or before.get(name) != step}
    while True:
        more = {name for name, step in after.items() if name not in reached and reached.intersection(step.get("needs", ()))}
        if not more:
            return reached
        reached |= more
