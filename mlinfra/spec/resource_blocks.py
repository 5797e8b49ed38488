"""The ``resources:`` and ``modules:`` of a spec, as written."""

from __future__ import annotations

import re
from typing import Any

from mlinfra.kinds.catalog import NAMES
from mlinfra.model.address import parse_address
from mlinfra.model.component import Lifecycle
from mlinfra.model.dataclass import maker
from mlinfra.model.patterns import pattern
from mlinfra.spec import git_source
from mlinfra.spec.document import ModuleBlock, ResourceBlock
from mlinfra.spec.names import NATIVE_KIND, TARGET
from mlinfra.spec.positions import YamlList, YamlMap
from mlinfra.spec.shape import Shape
from mlinfra.spec.suggest import closest, did_you_mean
from mlinfra.spec.words import cut, describe, is_expression

COMMON_KEYS = (
    "kind", "target", "for_each", "enabled", "depends_on", "description", "tags", "native", "lifecycle", "existing", "properties",
)  # fmt: skip
"""Keys that every resource takes; a kind's own field of such a name goes under ``properties:``."""
LIFECYCLE_KEYS = ("protect", "create_first", "ignore_changes", "replace_when", "timeout")
MODULE_KEYS = ("source", "with", "for_each", "enabled", "depends_on")

_COMMON = frozenset(COMMON_KEYS)
_WHOLE = pattern(r"\$\{\s*(.+?)\s*\}\Z")
_REMOTE = pattern(r"(hg::|s3::|gcs::|[a-z]+://|git@|(www\.)?(github|gitlab|bitbucket)\.(com|org)/)")
_FOREIGN_PREFIXES = {"google": "gcp", "azurerm": "azure"}


_block = maker(ResourceBlock)


def read_resources(shape: Shape, root: YamlMap) -> dict[str, ResourceBlock]:
    """Every resource that has a usable name, also when other things are wrong with it."""
    found = {}
    for name, node in shape.entries(root, "resources", "resources"):
        if shape.name(root["resources"], name, "resource", starts_expression=True):
            found[name] = _resource(shape, name, node, root["resources"])
    return found


def _resource(shape: Shape, name: str, node: YamlMap, parent: YamlMap) -> ResourceBlock:
    own = node.without(_COMMON)
    has_kind_alone = "kind" in node and len(node) - len(own) == 1
    extra = {} if has_kind_alone else _common(shape, name, node)
    return _block(
        name=name,
        kind=_kind(shape, name, node, parent),
        properties=_properties(shape, name, node, own),
        node=node,
        span=parent.key_span(name),
        **extra,
    )


def _common(shape: Shape, name: str, node: YamlMap) -> dict[str, Any]:
    """The common keys that are written, as arguments of ResourceBlock or ModuleBlock."""
    found: dict[str, Any] = {}
    if "target" in node:
        target = shape.text(node, "target", f"{name}.target")
        if target is not None and not is_expression(target) and not TARGET.match(target):
            hint = "write a provider, like local, or one of its instances, like aws.eu"
            shape.problem("spec.bad_name", f"{cut(target)!r} cannot name a target", node.value_span("target"), hint)
            target = None
        found["target"] = target
    if "for_each" in node or "enabled" in node or "depends_on" in node:
        found |= _repetition(shape, name, node)
    if "description" in node:
        found["description"] = shape.text(node, "description", f"{name}.description") or ""
    if "tags" in node:
        found["tags"] = _tags(shape, name, node)
    if "native" in node:
        found["native"] = shape.map(node, "native", f"{name}.native")
    if "lifecycle" in node:
        found |= _lifecycle(shape, name, node)
    if "existing" in node:
        value = node["existing"]
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            found["existing"] = str(value)
        else:
            shape.wrong(node, "existing", f"{name}.existing", "the id of what is looked up")
    return found


def _kind(shape: Shape, name: str, node: YamlMap, parent: YamlMap) -> str:
    """The kind, or ``""`` when it cannot be used."""
    kind = node.get("kind")
    if kind is None:
        if "kind" not in node:
            near = closest("kind", [key for key in node if key not in _COMMON]) or ""
            hint = f"rename {near!r} to 'kind'" if near else f"one of: {', '.join(NAMES)}"
            shape.missing(name, "kind", parent.key_span(name), hint)
        else:
            shape.problem("spec.missing_key", f"{name}.kind is empty", node.key_span("kind"), f"one of: {', '.join(NAMES)}")
        return ""
    if not isinstance(kind, str):
        shape.wrong(node, "kind", f"{name}.kind", "text")
        return ""
    if kind in NAMES or NATIVE_KIND.match(kind):
        return kind
    if is_expression(kind):
        hint = "write the kind out; 'enabled' switches a resource on and off"
        shape.problem("spec.unknown_kind", f"{name}.kind cannot be an expression", node.value_span("kind"), hint)
        return ""
    provider, _, rest = kind.partition("_")
    hint = did_you_mean(kind, NAMES, allowed="kinds")
    if rest and provider in ("aws", "gcp", "google", "azure", "azurerm", "docker", "local", "milvus"):
        hint = f"did you mean {_FOREIGN_PREFIXES.get(provider, provider)}.{rest}?"
    shape.problem("spec.unknown_kind", f"there is no kind {cut(kind)!r}", node.value_span("kind"), hint)
    return ""


def _properties(shape: Shape, name: str, node: YamlMap, own: YamlMap) -> YamlMap:
    """What stands beside the common keys (``own``, which is added to), and what stands under ``properties:``."""
    nested = shape.map(node, "properties", f"{name}.properties") if "properties" in node else None
    if not nested:
        return own
    own.places = dict(own.places)  # no longer the block's: what is nested may be called like a common key
    for key in nested:
        if key in own:
            shape.problem(
                "spec.duplicate_name",
                f"{name} has {key!r} twice: beside 'kind' and under 'properties'",
                nested.key_span(key),
                "keep one of them",
                ((own.key_span(key), "first here"),),
            )
            continue
        own.take(nested, key)
    return own


def _tags(shape: Shape, name: str, node: YamlMap) -> YamlMap | None:
    tags = shape.map(node, "tags", f"{name}.tags")
    for key, value in (tags or {}).items():
        if value is None or isinstance(value, (YamlMap, YamlList)):
            assert tags is not None
            shape.wrong(tags, key, f"{name}.tags.{cut(key)}", "text")
    return tags


def _lifecycle(shape: Shape, name: str, node: YamlMap) -> dict[str, Any]:
    where = f"{name}.lifecycle"
    block = shape.map(node, "lifecycle", where)
    if block is None:
        return {}
    shape.keys(block, LIFECYCLE_KEYS, where)
    triggers = block.get("replace_when")
    create_first = shape.flag(block, "create_first", f"{where}.create_first") if block.get("create_first") is not None else None
    lifecycle = Lifecycle(
        protect=shape.flag(block, "protect", f"{where}.protect"),
        create_first=create_first,
        ignore_changes=tuple(text for text, _ in shape.texts(block, "ignore_changes", f"{where}.ignore_changes")),
        timeout=_seconds(shape, block, "timeout", f"{where}.timeout"),
    )
    return {
        "lifecycle": lifecycle,
        "replace_when": tuple(triggers) if isinstance(triggers, YamlList) else () if triggers is None else (triggers,),
    }


def _seconds(shape: Shape, node: YamlMap, key: str, where: str) -> float | None:
    value = node.get(key)
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    if isinstance(value, str):
        from mlinfra.kinds import units

        try:
            seconds = units.parse_seconds(value)
        except ValueError:
            seconds = 0.0
        if seconds > 0:
            return seconds
    shape.wrong(node, key, where, "a duration", "write it like 60s, 2h or 1h30m")
    return None


def _repetition(shape: Shape, where: str, node: YamlMap) -> dict[str, Any]:
    """``for_each``, ``enabled`` and ``depends_on``, which resources and modules share."""
    found: dict[str, Any] = {}
    if "for_each" in node:
        value = node["for_each"]
        if isinstance(value, (YamlMap, YamlList)) or is_expression(value):
            found |= {"for_each": value, "has_for_each": True}
        else:
            shape.wrong(node, "for_each", f"{where}.for_each", "a map, a list or an expression")
    if "enabled" in node:
        value = node["enabled"]
        if isinstance(value, bool) or is_expression(value):
            found["enabled"] = value
        else:
            shape.flag(node, "enabled", f"{where}.enabled")
    if "depends_on" in node:
        names = []
        for text, span in shape.texts(node, "depends_on", f"{where}.depends_on"):
            whole = _WHOLE.match(text)
            name = whole[1] if whole else text
            if parse_address(name) or re.fullmatch(r"module\.[a-z][a-z0-9_]*(\[.+\])?", name):
                names.append(name)
            else:
                hint = "write its name, like raw, or module.rag"
                shape.problem("spec.bad_name", f"{where}.depends_on: {cut(text)!r} names no resource", span, hint)
        found["depends_on"] = tuple(names)
    return found


def read_modules(shape: Shape, root: YamlMap) -> dict[str, ModuleBlock]:
    """Every module call that has a usable name and source."""
    found = {}
    for name, node in shape.entries(root, "modules", "modules"):
        where = f"modules.{name}"
        if not shape.name(root["modules"], name, "module"):
            continue
        shape.keys(node, MODULE_KEYS, where)
        source = shape.text(node, "source", f"{where}.source")
        if source is None or not source.strip():
            if not isinstance(node.get("source"), (YamlMap, YamlList, int, float)):
                shape.missing(where, "source", root["modules"].key_span(name), "like source: ./modules/rag")
            continue
        if is_expression(source):
            message = f"{where}.source must be plain text, not {describe(source)}"
            shape.problem("spec.bad_type", message, node.value_span("source"), "write the folder out")
            continue
        try:
            git = git_source.parse(source) if source.startswith(git_source.PREFIX) else None
            if git is None and _REMOTE.match(source):
                raise ValueError(f"modules come from a local folder or from git, not from {cut(source)!r}")
        except ValueError as error:
            hint = f"like source: ./modules/rag, or source: {git_source.EXAMPLE}"
            shape.problem("spec.remote_module", f"{where}: {error}", node.value_span("source"), hint)
            continue
        found[name] = ModuleBlock(
            name=name,
            source=source,
            git=git,
            inputs=shape.map(node, "with", f"{where}.with"),
            node=node,
            span=root["modules"].key_span(name),
            **_repetition(shape, where, node),
        )
    return found
