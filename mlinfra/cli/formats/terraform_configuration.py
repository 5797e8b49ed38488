"""What the spec asks for as Terraform's configuration representation: constants and references, by module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlinfra.cli.formats.terraform_names import Names
from mlinfra.cli.formats.trees import HIDDEN, is_secret, known_json
from mlinfra.cli.render_values import masked
from mlinfra.model.change import Action, Change
from mlinfra.model.dataclass import replace
from mlinfra.model.plan import Plan
from mlinfra.model.resource import Resource
from mlinfra.model.values import DEFERRED, EMPTY, Map, Ref, Secret, Value, references, within
from mlinfra.provider.terraform import TerraformType, attribute_name, shaped

_GONE = (Action.DELETE, Action.FORGET)


def configuration(plan: Plan, resources: Mapping[str, Resource], names: Names) -> dict[str, Any]:
    """``configuration`` and ``relevant_attributes``. What did not change and is not among ``resources`` (a saved plan) is shown
    with its values as constants."""
    types = {c.address: c.type for c in plan.changes} | {a: r.type for a, r in resources.items()}
    root: dict[str, Any] = {}
    seen: set[tuple[str, str]] = set()
    relevant: dict[tuple[str, str], None] = {}
    providers: dict[str, dict[str, Any]] = {}
    for change in plan.changes:
        if change.action in _GONE or change.deposed:
            continue
        resource = resources.get(change.address)
        tree = _hidden(change, resource.attributes if resource is not None else change.after or EMPTY)
        address, known = names.address(change.address, change.type), names.known(change.type)
        key = names.provider(change.type).rpartition("/")[2]
        providers.setdefault(key, {"name": key, "full_name": names.provider(change.type)})
        needs = plan.needs.get(change.address, ())
        expressions, used = _expressions(shaped(known, tree), types, names)
        relevant.update(dict.fromkeys(used))
        entries = [(address, expressions)]
        for beside in known.beside if known else ():
            if beside.shape(tree) is not None:
                refers = {beside.parent: {"references": [f"{address.in_module}.id", address.in_module]}}
                entries.append((replace(address, type=beside.name), refers))
        for place, found in entries:
            call = re.sub(r"\[[^\]]*\]", "", place.module)
            if (call, place.without_index) in seen:
                continue
            seen.add((call, place.without_index))
            mentioned = {whole for whole, _ in used}
            more = [names.address(n, types[n]).without_index for n in needs if n in types]
            more = [m for m in dict.fromkeys(more) if m not in mentioned]
            entry: dict[str, Any] = {
                "address": place.without_index, "mode": "managed", "type": place.type, "name": place.name,
                "provider_config_key": key, "expressions": found, "schema_version": 0,
            }  # fmt: skip
            if more and place is address:
                entry["depends_on"] = more
            _module(root, place.module).setdefault("resources", []).append(entry)
    return {
        "configuration": {"provider_config": providers, "root_module": root},
        "relevant_attributes": [{"resource": whole, "attribute": [name] if name else []} for whole, name in relevant],
    }


def _hidden(change: Change, tree: Map) -> Map:
    """The tree with everything a secret that the plan has as one."""
    tree = masked(tree, {a.path for a in change.attributes if a.sensitive})
    secret = {name for name, value in (change.after or EMPTY).items() if is_secret(value)}
    return Map({k: Secret(None) if k in secret and not _has_reference(v) else v for k, v in tree.items()}) if secret else tree


def _module(root: dict[str, Any], address: str) -> dict[str, Any]:
    """The module's node; every instance of a module is one call."""
    node = root
    for step in address.split(".") if address else ():
        if step != "module":
            call = node.setdefault("module_calls", {}).setdefault(step.partition("[")[0], {"module": {}})
            node = call["module"]
    return node


def _expressions(tree: Map, types: Mapping[str, str], names: Names) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Every attribute's expression, and what they refer to: (address, attribute)."""
    used: list[tuple[str, str]] = []

    def expression(value: Value) -> Any:
        if isinstance(value, Map) and _has_reference(value):
            return {k: expression(v) for k, v in value.items()}
        if isinstance(value, tuple) and any(isinstance(v, Map) for v in value) and _has_reference(value):
            return [expression(v) for v in value]
        if _has_reference(value):
            return {"references": _references(value, types, names, used)}
        if any(is_secret(leaf) for leaf in within(value)):
            return {"constant_value": HIDDEN}
        return {} if any(isinstance(leaf, DEFERRED) for leaf in within(value)) else {"constant_value": known_json(value)}

    return {name: expression(value) for name, value in tree.items() if value is not None}, used


def _has_reference(value: Value) -> bool:
    return next(iter(references(value)), None) is not None


def _references(value: Value, types: Mapping[str, str], names: Names, used: list[tuple[str, str]]) -> list[str]:
    found: dict[str, None] = {}
    for ref in references(value):
        if ref.address not in types:
            continue
        address, known = names.address(ref.address, types[ref.address]), names.known(types[ref.address])
        name = _attribute(ref, known)
        used.append((address.whole, name))
        place = address.in_module
        found.update(dict.fromkeys([f"{place}.{name}", place] if name else [place]))
    return list(found)


def _attribute(ref: Ref, known: TerraformType | None) -> str:
    return attribute_name(known, str(ref.path[0])) if ref.path else ""
