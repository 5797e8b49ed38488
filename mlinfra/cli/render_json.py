"""Plans, states and diagnostics as plain JSON data. Secrets are ``"(sensitive)"``, unknown values null; both are listed."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from mlinfra.cli.render_cost import cost_json
from mlinfra.cli.render_values import masked
from mlinfra.model.change import MISSING, Action, AttributeChange, Change, Drift
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.policy import Verdict
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import DEFERRED, Map, Path, Secret, SecretDigest, Value, leaves, path_text

FORMAT_VERSION = "1.1"
"""Grows in its minor part when something is added, in its major part when a reader would break."""

_ACTIONS = {
    Action.NOOP: ["no-op"], Action.CREATE: ["create"], Action.UPDATE: ["update"], Action.DELETE: ["delete"],
    Action.READ: ["read"], Action.IMPORT: ["import"], Action.FORGET: ["forget"],
}  # fmt: skip


def dumps(data: Any, *, indent: int | None = 2) -> str:
    """JSON text; never NaN, which JSON has not."""
    return json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False)


def value_json(value: Value) -> Any:
    """A value tree as JSON data: a secret is ``"(sensitive)"``, what is not known is null."""
    if isinstance(value, Mapping):
        return {k: value_json(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [value_json(v) for v in value]
    if isinstance(value, (Secret, SecretDigest)):
        return "(sensitive)"
    if value is MISSING or isinstance(value, DEFERRED):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def change_json(change: Change) -> dict[str, Any]:
    """One change; ``actions`` is Terraform's list (``["create", "delete"]`` is a create-first replacement)."""
    sensitive = {a.path for a in change.attributes if a.sensitive}
    actions = _ACTIONS.get(change.action) or (["create", "delete"] if change.create_first else ["delete", "create"])
    data: dict[str, Any] = {
        "address": change.address,
        "type": change.type,
        "provider": change.provider,
        "kind": change.kind,
        "component": change.component,
        "action": change.action.value,
        "actions": actions,
        "reason": change.reason,
        "risk": {"level": change.risk.level.value, "sentence": change.risk.sentence},
        "cost": {"before": cost_json(change.cost_before), "after": cost_json(change.cost_after)},
        "runs": change.runs,
        "may_be_noop": change.may_be_noop,
        **_side("before", change.before, sensitive),
        **_side("after", change.after, sensitive),
        "changes": [attribute_json(a) for a in change.attributes],
    }
    for name in ("deposed", "import_id", "moved_from"):
        if getattr(change, name):
            data[name] = getattr(change, name)
    return data


def _side(name: str, tree: Map | None, sensitive: Collection[Path]) -> dict[str, Any]:
    if tree is None:
        return {name: None}
    shown = masked(tree, sensitive) if sensitive else tree
    found = list(leaves(shown))
    return {
        name: value_json(shown),
        f"{name}_unknown": [path_text(p) for p, leaf in found if isinstance(leaf, DEFERRED)],
        f"{name}_sensitive": [path_text(p) for p, leaf in found if isinstance(leaf, (Secret, SecretDigest))],
    }


def attribute_json(a: AttributeChange) -> dict[str, Any]:
    """One differing leaf; ``before``/``after`` is left out where the attribute is absent."""
    data: dict[str, Any] = {"path": list(a.path), **_before_after(a.before, a.after, a.sensitive)}
    if a.forces_replacement:
        data["forces_replacement"] = a.forces_replacement
    return data


def _before_after(before: Value, after: Value, sensitive: bool) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, value in (("before", before), ("after", after)):
        if value is MISSING:
            continue
        data[name] = "(sensitive)" if sensitive and value is not None else value_json(value)
        if any(isinstance(leaf, DEFERRED) for _, leaf in leaves(value)):
            data[f"{name}_unknown"] = True
    if sensitive or isinstance(before, (Secret, SecretDigest)) or isinstance(after, (Secret, SecretDigest)):
        data["sensitive"] = True
    return data


def drift_json(drift: Drift) -> dict[str, Any]:
    return {
        "address": drift.address,
        "type": drift.type,
        "kind": drift.kind,
        "component": drift.component,
        "gone": drift.gone,
        "changes": [attribute_json(a) for a in drift.attributes],
    }


def verdict_json(v: Verdict) -> dict[str, Any]:
    """One policy that is broken: by which change (none: by the plan as a whole), and why that is borne."""
    data: dict[str, Any] = {"policy": v.policy, "effect": v.effect.value, "message": v.message, "refuses": v.refuses}
    if v.address:
        data["address"] = v.address
    if v.reason:
        data["overridden"] = v.reason
    if v.span:
        data["range"] = _range(v.span)
    return data


def state_json(state: State) -> dict[str, Any]:
    """The recorded state, secrets left out."""
    return {
        "format_version": FORMAT_VERSION,
        "lineage": state.lineage,
        "serial": state.serial,
        "resources": [resource_json(r) for _, r in sorted(state.resources.items())],
        "outputs": outputs_json(state.outputs, state.sensitive_outputs),
    }


def resource_json(r: ResourceState) -> dict[str, Any]:
    data: dict[str, Any] = {
        "address": r.address,
        "type": r.type,
        "provider": r.provider,
        "kind": r.kind,
        "component": r.component,
        "id": r.id,
        "attributes": value_json(r.attributes),
        "sensitive": [path_text(p) for p, leaf in leaves(r.attributes) if isinstance(leaf, (Secret, SecretDigest))],
        "dependencies": list(r.dependencies),
        "schema_version": r.schema_version,
        "version": r.version,
    }
    if r.deposed:
        data["deposed"] = r.deposed
    for name in ("tainted", "protect", "existing"):
        if getattr(r, name):
            data[name] = True
    return data


def outputs_json(outputs: Mapping[str, Value], sensitive: Collection[str] = ()) -> dict[str, Any]:
    """``{name: {"value": …, "type": …, "sensitive": …}}``, as ``terraform output -json`` gives."""
    data = {}
    for name, value in sorted(outputs.items()):
        secret = name in sensitive or isinstance(value, (Secret, SecretDigest))
        data[name] = {"value": "(sensitive)" if secret else value_json(value), "type": _type(value), "sensitive": secret}
    return data


def _type(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return "map"
    return "list" if isinstance(value, (tuple, list)) else "any"


def diagnostic_json(d: Diagnostic) -> dict[str, Any]:
    """One problem; ``range`` as editors count: lines and columns from 1, the end exclusive."""
    data: dict[str, Any] = {"severity": d.severity.value, "code": d.code, "summary": d.message}
    if d.hint:
        data["detail"] = d.hint
    if d.address:
        data["address"] = d.address
    if d.path:
        data["path"] = list(d.path)
    if d.span:
        data["range"] = _range(d.span)
    if d.related:
        data["related"] = [{"range": _range(span), "message": remark} for span, remark in d.related]
    return data


def _range(span: Span) -> dict[str, Any]:
    return {
        "filename": span.file,
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line or span.line, "column": span.end_column or span.column + 1},
    }
