"""``policies:`` and ``budget:`` as written: rules, and files of rules that several specs share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mlinfra.model.patterns import pattern
from mlinfra.model.policy import BUDGET, Budget, Effect, Policy
from mlinfra.spec.document import PolicyBlock
from mlinfra.spec.names import ENVIRONMENT
from mlinfra.spec.positions import NOWHERE, YamlList, YamlMap
from mlinfra.spec.shape import Shape
from mlinfra.spec.words import cut, describe
from mlinfra.spec.yaml_reader import read_text, read_yaml

_NAME = pattern(r"[a-z][a-z0-9_-]*\Z")
_BUDGET = pattern(r"\s*(?P<amount>\d[\d,_]*(?:\.\d+)?)\s*(?:USD|\$)?\s*(?:/|per)\s*(?P<per>month|year|day)\s*\Z", re.IGNORECASE)
_MONTHS = {"month": 1.0, "year": 1 / 12, "day": 365 / 12}
_HINT = "like budget: 2000 USD/month, or one for each environment: {dev: 100 USD/month, prod: 2000 USD/month}"


def read_policies(shape: Shape, root: YamlMap, where: str = "policies") -> tuple[PolicyBlock, ...]:
    """A list of ``{name, deny|warn, message}`` and ``{file}``; the rules are compiled where the spec is resolved."""
    found: list[PolicyBlock] = []
    for place, node in shape.items(root, "policies", where):
        if "file" in node:
            shape.keys(node, ("file",), place)
            file = shape.text(node, "file", f"{place}.file")
            if file:
                found.append(PolicyBlock(file=file, span=node.value_span("file")))
            continue
        shape.keys(node, ("name", "deny", "warn", "message"), place)
        policy = _policy(shape, node, place)
        if policy is not None:
            found.append(PolicyBlock(policy=policy, span=node.span))
    return tuple(found)


def _policy(shape: Shape, node: YamlMap, where: str) -> Policy | None:
    name = shape.text(node, "name", f"{where}.name")
    if node.get("name") is None:
        shape.missing(where, "name", node.span, "like name: no_public_buckets")
    elif name is not None and (not _NAME.match(name) or name == BUDGET):
        message = f"{cut(name)!r} cannot name a policy: use lower-case letters, digits, _ and -, a letter first"
        taken = f"{BUDGET!r} is the name of the budget itself"
        shape.problem("spec.bad_name", taken if name == BUDGET else message, node.value_span("name"))
        name = None
    message = shape.text(node, "message", f"{where}.message") or ""
    rules = [key for key in ("deny", "warn") if node.get(key) is not None]
    if len(rules) != 1:
        hint = 'like deny: change.action == "delete"'
        if rules:
            shape.problem("spec.bad_value", f"{where} takes either 'deny' or 'warn'", node.span, hint)
        else:
            shape.problem("spec.missing_key", f"{where} needs 'deny' or 'warn'", node.span, hint)
        return None
    rule = shape.text(node, rules[0], f"{where}.{rules[0]}")
    if name is None or rule is None:
        return None
    return Policy(name=name, effect=Effect(rules[0]), rule=rule, message=message, span=node.value_span(rules[0]))


def read_policy_file(shape: Shape, path: Path, shown: str) -> tuple[tuple[PolicyBlock, ...], str]:
    """The policies of a shared file (a list, or a map with ``policies:``), and the file's text."""
    text, unreadable = read_text(path, shown)
    if unreadable:
        shape.problems.extend(unreadable)
        return (), ""
    document = read_yaml(text, shown)
    shape.problems.extend(document.problems)
    value = document.value
    if isinstance(value, YamlList):
        root = YamlMap(shown, NOWHERE)
        dict.__setitem__(root, "policies", value)
        return read_policies(shape, root, shown), text
    if isinstance(value, YamlMap):
        shape.keys(value, ("policies",), shown)
        return read_policies(shape, value, f"{shown}: policies"), text
    if not document.problems:
        shape.problem("spec.bad_type", f"{shown} must be a list of policies, not {describe(value)}", None)
    return (), text


def read_budget(shape: Shape, root: YamlMap) -> dict[str, Budget]:
    """``budget:`` by environment; ``""`` stands for all."""
    value = root.get("budget")
    if value is None:
        return {}
    if not isinstance(value, YamlMap):
        budget = _budget(shape, value, root.value_span("budget"), "budget")
        return {"": budget} if budget is not None else {}
    found = {}
    for name in value:
        if not ENVIRONMENT.match(name):
            shape.problem("spec.bad_name", f"budget: {cut(name)!r} cannot name an environment", value.key_span(name), _HINT)
            continue
        budget = _budget(shape, value[name], value.value_span(name), f"budget.{name}")
        if budget is not None:
            found[name] = budget
    return found


def _budget(shape: Shape, value: Any, span: Any, where: str) -> Budget | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return Budget(monthly=float(value), span=span)
    match = _BUDGET.match(value) if isinstance(value, str) else None
    if match is None:
        shape.problem("spec.bad_value", f"{where} must be an amount a month, not {describe(value)}", span, _HINT)
        return None
    amount = float(match["amount"].replace(",", "").replace("_", ""))
    return Budget(monthly=amount * _MONTHS[match["per"].lower()], span=span)
