"""The other top-level blocks of a spec, as written: variables, environments, outputs, providers, state, moves."""

from __future__ import annotations

from typing import Any

from mlinfra.spec.document import EnvironmentBlock, Import, Moved, Output, Removed, Variable
from mlinfra.spec.names import ENVIRONMENT, TARGET
from mlinfra.spec.positions import YamlList, YamlMap
from mlinfra.spec.shape import Shape
from mlinfra.spec.suggest import closest, did_you_mean
from mlinfra.spec.words import cut, describe, is_expression

VARIABLE_TYPES = ("string", "integer", "number", "boolean", "list", "map", "any")
VARIABLE_KEYS = ("type", "default", "description", "sensitive", "check")
ENVIRONMENT_KEYS = ("target", "providers", "variables", "state", "protect")
OUTPUT_KEYS = ("value", "sensitive", "description")

_TYPE_ALIASES = {
    "str": "string", "text": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean",
    "object": "map", "dict": "map", "array": "list", "set": "list", "tuple": "list",
}  # fmt: skip


def read_variables(shape: Shape, root: YamlMap) -> dict[str, Variable]:
    """``variables:``; an empty one takes anything."""
    block = shape.map(root, "variables", "variables")
    found = {}
    for name in block or ():
        assert block is not None
        if not shape.name(block, name, "variable"):
            continue
        node = block[name]
        if node is None:
            found[name] = Variable(name=name, span=block.key_span(name))
        elif isinstance(node, YamlMap):
            found[name] = _variable(shape, name, node, block)
        else:
            hint = f"write {{type: {_type_of(node)}, default: …}}"
            shape.wrong(block, name, f"variables.{name}", "a map", hint)
    return found


def _variable(shape: Shape, name: str, node: YamlMap, parent: YamlMap) -> Variable:
    where = f"variables.{name}"
    shape.keys(node, VARIABLE_KEYS, where)
    type_name = shape.text(node, "type", f"{where}.type") or "any"
    if type_name not in VARIABLE_TYPES:
        meant = _TYPE_ALIASES.get(type_name.lower())
        hint = f"did you mean {meant!r}?" if meant else did_you_mean(type_name, VARIABLE_TYPES, allowed="types")
        shape.problem("spec.bad_value", f"{where}: there is no type {cut(type_name)!r}", node.value_span("type"), hint)
        type_name = "any"
    check = shape.map(node, "check", f"{where}.check")
    rule = message = ""
    if check is not None:
        shape.keys(check, ("rule", "message"), f"{where}.check")
        rule = shape.text(check, "rule", f"{where}.check.rule") or ""
        message = shape.text(check, "message", f"{where}.check.message") or ""
        if not rule and not isinstance(check.get("rule"), (YamlMap, YamlList, bool, int, float)):
            shape.missing(f"{where}.check", "rule", check.span, 'like rule: "value >= 1"')
    return Variable(
        name=name,
        type=type_name,
        default=node.get("default"),
        has_default="default" in node,
        description=shape.text(node, "description", f"{where}.description") or "",
        sensitive=shape.flag(node, "sensitive", f"{where}.sensitive"),
        rule=rule,
        message=message,
        span=parent.key_span(name),
        rule_span=check.value_span("rule") if check is not None and rule else None,
    )


def _type_of(value: Any) -> str:
    names = ((bool, "boolean"), (int, "integer"), (float, "number"), (YamlList, "list"))
    return next((name for kind, name in names if isinstance(value, kind)), "string")


def read_environments(shape: Shape, root: YamlMap) -> dict[str, EnvironmentBlock]:
    """``environments:``; an empty one changes nothing."""
    block = shape.map(root, "environments", "environments")
    found = {}
    for name in block or ():
        assert block is not None
        where = f"environments.{cut(name)}"
        if not ENVIRONMENT.match(name) or len(name) > 60:
            message = f"{cut(name)!r} cannot name an environment: use lower-case letters, digits, _ and -, a letter first"
            shape.problem("spec.bad_name", message, block.key_span(name))
            continue
        node = block[name]
        if node is None:
            found[name] = EnvironmentBlock(name=name, span=block.key_span(name))
        elif isinstance(node, YamlMap):
            shape.keys(node, ENVIRONMENT_KEYS, where)
            found[name] = EnvironmentBlock(
                name=name,
                target=_target(shape, node, where),
                providers=read_providers(shape, node, f"{where}.providers"),
                variables=shape.map(node, "variables", f"{where}.variables"),
                state=read_state(shape, node, f"{where}.state"),
                protect=shape.flag(node, "protect", f"{where}.protect"),
                span=block.key_span(name),
            )
        else:
            shape.wrong(block, name, where, "a map", "like {target: local}")
    return found


def _target(shape: Shape, node: YamlMap, where: str) -> str | None:
    target = shape.text(node, "target", f"{where}.target")
    if target is not None and not TARGET.match(target):
        hint = "write a provider, like local, or one of its instances, like aws.eu"
        shape.problem("spec.bad_name", f"{cut(target)!r} cannot name a target", node.value_span("target"), hint)
        return None
    return target


def read_providers(shape: Shape, root: YamlMap, where: str = "providers") -> YamlMap | None:
    """``providers:`` by instance (``aws``, ``aws.eu``); an empty one is an empty map."""
    block = shape.map(root, "providers", where)
    if block is None:
        return None
    found = YamlMap(block.file, block.mark)
    for name in block:
        if not TARGET.match(name):
            hint = "write a provider, like aws, or an instance of it, like aws.eu"
            shape.problem("spec.bad_name", f"{where}: {cut(name)!r} cannot name a provider", block.key_span(name), hint)
            continue
        value = block[name]
        if value is not None and not isinstance(value, YamlMap):
            shape.wrong(block, name, f"{where}.{name}", "a map", "like {region: eu-central-1}")
            continue
        found.take(block, name)
        if value is None:
            found[name] = YamlMap(block.file, block.places[name][2:])
    return found


def read_state(shape: Shape, root: YamlMap, where: str = "state") -> YamlMap | None:
    """``state:``; what else a store takes, it checks itself."""
    block = shape.map(root, "state", where)
    if block is not None:
        shape.text(block, "store", f"{where}.store")
        shape.map(block, "encryption", f"{where}.encryption")
    return block


def read_outputs(shape: Shape, root: YamlMap) -> dict[str, Output]:
    """``outputs:``: a value, or a map with ``value`` and what is to be said of it."""
    block = shape.map(root, "outputs", "outputs")
    found = {}
    for name in block or ():
        assert block is not None
        if not shape.name(block, name, "output"):
            continue
        node, where, span = block[name], f"outputs.{name}", block.key_span(name)
        if not isinstance(node, YamlMap) or not _describes(node):
            found[name] = Output(name=name, value=node, span=span)
            continue
        if "value" not in node:
            shape.missing(where, "value", span, "like value: ${api.url}")
            continue
        for key in node:
            if key not in OUTPUT_KEYS:
                near = closest(key, OUTPUT_KEYS)
                hint = f"did you mean {near!r}?" if near else "a map that is the output itself goes under 'value:'"
                shape.problem("spec.unknown_key", f"{where} has no key {cut(key)!r}", node.key_span(key), hint)
        found[name] = Output(
            name=name,
            value=node["value"],
            sensitive=shape.flag(node, "sensitive", f"{where}.sensitive"),
            description=shape.text(node, "description", f"{where}.description") or "",
            span=span,
        )
    return found


def _describes(node: YamlMap) -> bool:
    """Whether a map under ``outputs`` is ``{value: …}`` (perhaps with a typo beside it), not a value of its own."""
    return "value" in node or (bool(node) and all(key in OUTPUT_KEYS for key in node))


def read_moved(shape: Shape, root: YamlMap) -> tuple[Moved, ...]:
    found = []
    for where, node in shape.items(root, "moved", "moved"):
        shape.keys(node, ("from", "to"), where)
        source, to = _required(shape, node, "from", where), _required(shape, node, "to", where)
        if source and to:
            found.append(Moved(source=source, to=to, span=node.span))
    return tuple(found)


def read_removed(shape: Shape, root: YamlMap) -> tuple[Removed, ...]:
    found = []
    for where, node in shape.items(root, "removed", "removed"):
        shape.keys(node, ("from", "destroy"), where)
        source = _required(shape, node, "from", where)
        destroy = shape.flag(node, "destroy", f"{where}.destroy", default=True)
        if source:
            found.append(Removed(source=source, destroy=destroy, span=node.span))
    return tuple(found)


def read_imports(shape: Shape, root: YamlMap) -> tuple[Import, ...]:
    found = []
    for where, node in shape.items(root, "imports", "imports"):
        shape.keys(node, ("to", "id"), where)
        to, identity = _required(shape, node, "to", where), node.get("id")
        if identity is None:
            shape.missing(where, "id", node.span)
        elif isinstance(identity, (YamlMap, YamlList, bool, float)):
            shape.wrong(node, "id", f"{where}.id", "text")
        elif to:
            found.append(Import(to=to, id=str(identity), span=node.span))
    return tuple(found)


def _required(shape: Shape, node: YamlMap, key: str, where: str) -> str | None:
    if node.get(key) is None:
        shape.missing(where, key, node.span)
        return None
    return shape.text(node, key, f"{where}.{key}")


def read_stacks(shape: Shape, root: YamlMap) -> YamlMap | None:
    """``stacks:``: other stacks whose outputs are read."""
    for name, node in shape.entries(root, "stacks", "stacks"):
        shape.name(root["stacks"], name, "stack")
        for key in ("store", "project", "env"):
            shape.text(node, key, f"stacks.{cut(name)}.{key}")
    stacks = root.get("stacks")
    return stacks if isinstance(stacks, YamlMap) else None


def read_version(shape: Shape, root: YamlMap) -> int:
    """``version:``, 1 when it is left out."""
    value = root.get("version")
    if value is None or (value == 1 and type(value) is int):
        return 1
    if type(value) is int:
        message = f"this spec wants version {value} of the language; this mlinfra reads version 1"
        shape.problem("spec.bad_version", message, root.value_span("version"), "write version: 1, or install a newer mlinfra")
    else:
        shape.problem(
            "spec.bad_type", f"version must be 1, not {describe(value)}", root.value_span("version"), "write version: 1"
        )
    return 1


def plain_text(shape: Shape, root: YamlMap, key: str) -> str | None:
    """A text that must not be an expression."""
    text = shape.text(root, key, key)
    if text is not None and is_expression(text):
        shape.problem("spec.bad_type", f"{key} must be plain text, not {describe(text)}", root.value_span(key))
        return None
    return text
