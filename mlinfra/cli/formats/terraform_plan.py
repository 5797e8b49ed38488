"""A Plan as Terraform's plan JSON, format 1.2, so that what reads Terraform's plans reads ours: checkov, terraform-compliance, OPA.

The format is HashiCorp's (developer documentation, "JSON Output Format"). What it has no place for stands under ``mlinfra``, of the
whole plan and of every change. Secrets are ``"(sensitive)"`` and marked; what apply will tell is left out and marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from mlinfra.cli.formats.terraform_configuration import configuration
from mlinfra.cli.formats.terraform_names import TERRAFORM_VERSION, Names
from mlinfra.cli.formats.terraform_values import Instance, module_tree, output_values, side
from mlinfra.cli.formats.trees import known_json, sensitive_tree, unknown_tree
from mlinfra.cli.render_cost import cost_json, total_json
from mlinfra.cli.render_json import attribute_json, diagnostic_json, verdict_json
from mlinfra.cli.render_values import masked
from mlinfra.model import change as reasons
from mlinfra.model.change import MISSING, Action, AttributeChange, Change, Drift
from mlinfra.model.dataclass import dataclass
from mlinfra.model.own_files import PLAN_MARK
from mlinfra.model.plan import OutputChange, Plan
from mlinfra.model.resource import Resource
from mlinfra.model.state import State
from mlinfra.model.values import EMPTY, Map, Path, Secret, Value, put
from mlinfra.provider.terraform import attribute_name, shaped

FORMAT_VERSION = "1.2"

_ACTIONS = {
    Action.NOOP: ["no-op"], Action.CREATE: ["create"], Action.UPDATE: ["update"], Action.DELETE: ["delete"],
    Action.READ: ["read"], Action.FORGET: ["forget"],
}  # fmt: skip
_REASONS = {
    reasons.BY_REQUEST: "replace_by_request",
    reasons.HALF_MADE: "replace_because_tainted",
    reasons.TRIGGERED: "replace_by_triggers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a plan alone does not hold: everything that the spec asks for, the recorded state, the variables. All may be absent
    (a saved plan)."""

    resources: Mapping[str, Resource] = field(default_factory=dict)
    state: State | None = None
    variables: Map = EMPTY


def terraform_plan(plan: Plan, context: Context | None = None, names: Names | None = None) -> dict[str, Any]:
    """The whole document."""
    context, names = context or Context(), names or Names()
    kept = frozenset(_siblings(c.address) for c in plan.changes if c.action is not Action.DELETE and c.address.endswith("]"))
    instances = [one for c in plan.changes for one in _instances(c, plan, names, kept)]
    current = {c.address: c for c in plan.changes if not c.deposed}
    recorded_outputs = dict(context.state.outputs) if context.state is not None else {}
    recorded_outputs |= {c.name: c.before for c in plan.output_changes if c.before is not None}
    outputs = {**recorded_outputs, **{c.name: c.after for c in plan.output_changes}}
    hidden = {*plan.sensitive_outputs, *(c.name for c in plan.output_changes if c.sensitive)}
    hidden |= set(context.state.sensitive_outputs) if context.state is not None else set()
    return {
        "format_version": FORMAT_VERSION,
        "terraform_version": TERRAFORM_VERSION,
        "variables": {name: {"value": known_json(value)} for name, value in context.variables.items()},
        "planned_values": {
            **output_values({n: v for n, v in outputs.items() if v is not None}, hidden),
            "root_module": module_tree(i for i in instances if i.after is not None),
        },
        "resource_drift": [_drift_entry(d, current.get(d.address), names) for d in plan.drift],
        "resource_changes": [_change_entry(i) for i in instances],
        "output_changes": {c.name: _output_change(c) for c in plan.output_changes},
        "prior_state": {
            "format_version": "1.0",
            "terraform_version": TERRAFORM_VERSION,
            "values": {
                **output_values(recorded_outputs, hidden),
                "root_module": module_tree((i.as_before() for i in instances if i.before is not None), ids=True),
            },
        },
        **configuration(plan, context.resources or plan.resources, names),
        "checks": [_check(name, [v for v in plan.verdicts if v.policy == name]) for name in _policies(plan)],
        "applyable": not (plan.is_empty or plan.refused),
        "complete": not plan.blocked,
        "errored": plan.refused,
        "mlinfra": _own(plan),
    }


def _own(plan: Plan) -> dict[str, Any]:
    counts = plan.counts()
    return {
        "document": PLAN_MARK,
        "project": plan.project,
        "environment": plan.environment,
        "mode": plan.mode,
        "lineage": plan.lineage,
        "serial": plan.serial,
        "spec_digest": plan.spec_digest,
        "has_changes": not plan.is_empty,
        "summary": {name: counts[name] for name in ("add", "change", "destroy", "import", "forget", "run")},
        "cost": total_json(plan.cost()),
        "moves": [{"from": source, "to": to} for source, to in plan.moves],
        "steps": [
            {"operation": s.operation.value, "address": plan.changes[s.change].address, "needs": list(s.needs)}
            for s in plan.steps
        ],
        "policies": [verdict_json(v) for v in plan.verdicts],
        "warnings": [diagnostic_json(d) for d in plan.warnings],
    }


def _siblings(address: str) -> str:
    """What all instances of one ``for_each`` have in common."""
    return address.rpartition("[")[0]


def _instances(change: Change, plan: Plan, names: Names, kept: frozenset[str]) -> list[Instance]:
    """The change as one Terraform resource, or as several where Terraform makes several of one native. ``kept``: of which
    ``for_each`` something stays."""
    known = names.known(change.type)
    address = names.address(change.address, change.type)
    sensitive = {a.path for a in change.attributes if a.sensitive}
    before, after = _masked(change.before, sensitive), _masked(change.after, sensitive)
    prior = plan.prior.get((change.address, change.deposed))
    found = Instance(
        address=address,
        provider=names.provider(change.type),
        before=side(None if before is None else shaped(known, before), prior.id if prior else None),
        after=side(None if after is None else shaped(known, after), _id_after(change, prior.id if prior else None)),
        change=change,
        replace_paths=tuple(
            (attribute_name(known, str(a.path[0])), *a.path[1:]) for a in change.attributes if a.forces_replacement and a.path
        ),
        previous=names.address(change.moved_from, change.type) if change.moved_from else None,
        has_siblings=address.index is not None and _siblings(change.address) in kept,
    )
    beside = [found.beside(b, before, after) for b in (known.beside if known else ())]
    return [found, *(one for one in beside if one is not None)]


def _id_after(change: Change, id: str | None) -> str | None:
    return id if change.action not in (Action.CREATE, Action.REPLACE) else None


def _masked(tree: Map | None, sensitive: set[Path]) -> Map | None:
    return masked(tree, sensitive) if tree is not None and sensitive else tree


def _change_entry(i: Instance) -> dict[str, Any]:
    change = i.change
    assert change is not None
    entry: dict[str, Any] = i.head()
    if i.previous is not None:
        entry["previous_address"] = i.previous.whole
    if change.deposed:
        entry["deposed"] = change.deposed
    body = {"actions": _actions(change), **_sides(i.before, i.after)}
    if i.replace_paths:
        body["replace_paths"] = [list(p) for p in i.replace_paths]
    if change.action is Action.IMPORT:
        body["importing"] = {"id": change.import_id}
    entry["change"] = body
    if reason := _action_reason(i):
        entry["action_reason"] = reason
    entry["mlinfra"] = _own_change(change) if not i.part_of else {"address": change.address, "part_of": i.part_of.whole}
    return entry


def _own_change(change: Change) -> dict[str, Any]:
    data: dict[str, Any] = {
        "address": change.address,
        "type": change.type,
        "provider": change.provider,
        "kind": change.kind,
        "component": change.component,
        "action": change.action.value,
        "reason": change.reason,
        "risk": {"level": change.risk.level.value, "sentence": change.risk.sentence},
        "cost": {"before": cost_json(change.cost_before), "after": cost_json(change.cost_after)},
        "runs": change.runs,
        "may_be_noop": change.may_be_noop,
        "changes": [attribute_json(a) for a in change.attributes],
    }
    return data


def _actions(change: Change) -> list[str]:
    if change.action is Action.IMPORT:
        return ["update"] if change.attributes else ["no-op"]
    return _ACTIONS.get(change.action) or (["create", "delete"] if change.create_first else ["delete", "create"])


def _action_reason(i: Instance) -> str:
    change = i.change
    assert change is not None
    if change.action is Action.REPLACE:
        return _REASONS.get(change.reason, "replace_because_cannot_update")
    if change.action is not Action.DELETE or change.reason != reasons.NOT_IN_SPEC:
        return ""
    if i.has_siblings:
        return "delete_because_count_index" if isinstance(i.address.index, int) else "delete_because_each_key"
    return "delete_because_no_resource_config"


def _sides(before: Value, after: Value) -> dict[str, Any]:
    return {
        "before": None if before is None else known_json(before),
        "after": None if after is None else known_json(after),
        "after_unknown": {} if after is None else unknown_tree(after),
        "before_sensitive": sensitive_tree(before),
        "after_sensitive": sensitive_tree(after),
    }


def _drift_entry(drift: Drift, change: Change | None, names: Names) -> dict[str, Any]:
    """As Terraform: an update from what was recorded to what was found, or a deletion. ``change``: what the plan says of it."""
    found = change.before if change is not None and change.before is not None else EMPTY
    sensitive = {a.path for a in drift.attributes if a.sensitive}
    after = masked(_with(found, drift.attributes, new=True), sensitive)
    before = masked(_with(found, drift.attributes, new=False), sensitive)
    known = names.known(drift.type)
    instance = Instance(
        address=names.address(drift.address, drift.type),
        provider=names.provider(drift.type),
        before=shaped(known, before),
        after=None if drift.gone else shaped(known, after),
    )
    sides = _sides(instance.before, instance.after)
    own = {"address": drift.address, "kind": drift.kind, "component": drift.component, "gone": drift.gone}
    return {
        **instance.head(),
        "change": {"actions": ["delete"] if drift.gone else ["update"], **sides},
        "mlinfra": {**own, "changes": [attribute_json(a) for a in drift.attributes]},
    }


def _with(tree: Map, attributes: tuple[AttributeChange, ...], *, new: bool) -> Map:
    """The tree with the one side of every difference; what is absent there is left out."""
    for a in attributes:
        value = a.after if new else a.before
        if value is MISSING:
            if len(a.path) == 1:
                tree = Map({k: v for k, v in tree.items() if k != a.path[0]})
        elif all(isinstance(step, str) for step in a.path):
            tree = put(tree, a.path, value)
        elif a.path:
            tree = tree if str(a.path[0]) in tree else put(tree, a.path[:1], value)
    return tree


def _output_change(change: OutputChange) -> dict[str, Any]:
    before = Secret(None) if change.sensitive and change.before is not None else change.before
    after = Secret(None) if change.sensitive and change.after is not None else change.after
    actions = ["create"] if before is None else ["delete"] if after is None else ["update"]
    found = {"actions": actions, **_sides(before, after)}
    found["after_unknown"] = found["after_unknown"] or False
    found["before_sensitive"] = bool(found["before_sensitive"])
    found["after_sensitive"] = bool(found["after_sensitive"])
    return found


def _policies(plan: Plan) -> list[str]:
    return list(dict.fromkeys(v.policy for v in plan.verdicts))


def _check(name: str, verdicts: list[Any]) -> dict[str, Any]:
    """A policy that was broken, as one of Terraform's check blocks."""
    address = f"check.{name}"
    problems = [{"message": f"{v.address}: {v.message}" if v.address else v.message} for v in verdicts]
    return {
        "address": {"kind": "check", "name": name, "to_display": address},
        "status": "fail",
        "instances": [{"address": {"to_display": address}, "status": "fail", "problems": problems}],
    }
