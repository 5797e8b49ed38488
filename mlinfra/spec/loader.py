"""Finds a spec's files, reads them and puts them together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mlinfra.model.dataclass import replace
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.errors import SpecError
from mlinfra.spec import blocks, policy_blocks
from mlinfra.spec.document import Spec
from mlinfra.spec.names import PROJECT
from mlinfra.spec.positions import MergedMap, YamlMap, span_of
from mlinfra.spec.resource_blocks import read_modules, read_resources
from mlinfra.spec.shape import Shape
from mlinfra.spec.words import cut, describe
from mlinfra.spec.yaml_reader import UNREADABLE, read_text, read_yaml

MAIN = "mlinfra.yaml"
MODULE_BLOCKS = ("version", "variables", "resources", "modules", "outputs", "moved", "removed")
TOP_LEVEL = (
    "version", "project", "variables", "environments", "providers", "state", "resources", "modules", "outputs",
    "moved", "removed", "imports", "policies", "stacks", "budget",
)  # fmt: skip

_Named = TypeVar("_Named")


def load(directory: Path) -> Spec:
    """The spec of a folder (``mlinfra.yaml``, or every ``*.yaml`` and ``*.yml`` in it), or of one file.

    SpecError with every problem of shape that there is, each with its place.
    """
    spec, problems = read(directory)
    if problems:
        raise SpecError(problems)
    return spec


def load_module(path: Path, *, shown: str = "") -> Spec:
    """A local module: the same language without project, environments, providers and state.

    ``shown`` is how the folder is called in places (``modules/rag``). SpecError as for :func:`load`.
    """
    spec, problems = read(path, module=True, shown=shown)
    if problems:
        raise SpecError(problems)
    return spec


def read(directory: Path, *, module: bool = False, shown: str = "") -> tuple[Spec, list[Diagnostic]]:
    """As much of the spec as can be used, and what is wrong with the rest, so that later stages can add what they find.

    SpecError only when nothing more can be learned: there are no files, or one of them is no YAML. Resources whose kind
    cannot be used have the kind ``""``; ``Spec.unreadable`` names what had to be left out.
    """
    root, paths = _files(directory, module=module)
    prefix = f"{shown.rstrip('/')}/" if shown else ""
    texts: dict[str, str] = {}
    parts: list[Spec] = []
    problems: list[Diagnostic] = []
    for path in paths:
        file = prefix + path.name
        texts[file], unreadable = read_text(path, file)
        problems += unreadable
        if not unreadable:
            part, found = _read_file(texts[file], file, root, module=module, alone=len(paths) == 1)
            problems += found
            parts.append(part)
    if any(p.code in UNREADABLE for p in problems):
        raise SpecError(problems)
    shape = Shape()
    spec = _merge(shape, parts, root, texts)
    if not module and not spec.project and not any(p.message.startswith("project") for p in problems):
        first = next(iter(texts))
        shape.missing("the spec", "project", Span(first, 1, 1), "add a line like 'project: tickets'")
    return spec, problems + shape.problems


def _files(directory: Path, *, module: bool) -> tuple[Path, list[Path]]:
    """The root folder and the files of the spec in it."""
    what = "module" if module else "spec"
    try:
        if directory.is_file():
            return directory.parent, [directory]
        if not directory.is_dir():
            raise _nothing(
                f"there is no folder {str(directory)!r}", "check the path" if module else "use -C to name the spec's folder"
            )
        main = directory / MAIN
        if main.is_file():
            return directory, [main]
        found = sorted(
            p for p in directory.iterdir() if p.suffix in (".yaml", ".yml") and not p.name.startswith(".") and p.is_file()
        )
    except (OSError, ValueError) as error:
        raise _nothing(f"{str(directory)!r} cannot be read: {getattr(error, 'strerror', None) or error}", "") from None
    if not found:
        hint = f"write {directory.name or '.'}/{MAIN}" if module else f"write a {MAIN}, or use -C to name the spec's folder"
        raise _nothing(f"there is no {what} in {str(directory)!r}", hint)
    return directory, found


def _nothing(message: str, hint: str) -> SpecError:
    return SpecError(Diagnostic(code="spec.not_found", message=message, hint=hint))


def _read_file(text: str, file: str, root: Path, *, module: bool, alone: bool) -> tuple[Spec, list[Diagnostic]]:
    document = read_yaml(text, file)
    empty = Spec(root=root, files={})
    if document.value is None:
        return empty, document.problems
    shape = Shape()
    shape.problems += document.problems
    top = document.value
    if not isinstance(top, YamlMap):
        message = f"a spec must be a map, not {describe(top)}"
        shape.problem(
            "spec.bad_type", message, span_of(file, *document.mark), "start with lines like 'project: tickets' and 'resources:'"
        )
        return empty, shape.problems
    _top_level(shape, top, module=module, alone=alone)
    spec = Spec(
        root=root,
        files={},
        version=blocks.read_version(shape, top),
        variables=blocks.read_variables(shape, top),
        resources=read_resources(shape, top),
        modules=read_modules(shape, top),
        outputs=blocks.read_outputs(shape, top),
        moved=blocks.read_moved(shape, top),
        removed=blocks.read_removed(shape, top),
        nodes=(top,),
    )
    if not module:
        spec = replace(
            spec,
            project=_project(shape, top),
            environments=blocks.read_environments(shape, top),
            providers=blocks.read_providers(shape, top),
            state=blocks.read_state(shape, top),
            imports=blocks.read_imports(shape, top),
            policies=policy_blocks.read_policies(shape, top),
            stacks=blocks.read_stacks(shape, top),
            budget=policy_blocks.read_budget(shape, top),
        )
    return replace(spec, unreadable=_unreadable(top, spec)), shape.problems


def _top_level(shape: Shape, top: YamlMap, *, module: bool, alone: bool) -> None:
    allowed = MODULE_BLOCKS if module else TOP_LEVEL
    for key in top:
        if module and key in TOP_LEVEL and key not in allowed:
            hint = "move it to the spec that uses the module; a module gets its values by 'with:'"
            shape.problem("spec.not_in_module", f"a module has no {key!r}", top.key_span(key), hint)
    known = TOP_LEVEL if module else allowed
    before = len(shape.problems)
    shape.keys(top, known, "a spec")
    if len(shape.problems) > before and not alone and not any(key in top for key in known):
        last = shape.problems[-1]
        hint = f"{last.hint}; if this file is no part of the spec, name the spec's own file {MAIN}"
        shape.problems[-1] = replace(last, hint=hint)


def _project(shape: Shape, top: YamlMap) -> str:
    project = blocks.plain_text(shape, top, "project")
    if project is None:
        return ""
    if not PROJECT.match(project) or len(project) > 60:
        message = f"project {cut(project)!r} is no good name: use lower-case letters, digits, _ and -, a letter first, at most 60"
        shape.problem("spec.bad_name", message, top.value_span("project"))
        return ""
    return project


def _unreadable(top: YamlMap, spec: Spec) -> frozenset[str]:
    found: set[str] = set()
    read: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("resources", "", spec.resources), ("modules", "module.", spec.modules), ("variables", "vars.", spec.variables),
    )  # fmt: skip
    for key, prefix, kept in read:
        written = top.get(key)
        if isinstance(written, YamlMap):
            found.update(prefix + name for name in written if name not in kept)
    return frozenset(found)


def _merge(shape: Shape, parts: list[Spec], root: Path, texts: dict[str, str]) -> Spec:
    """One spec of several files: named things come together, a name given twice is a problem with both places."""
    if len(parts) == 1:
        return replace(parts[0], files=texts)
    nodes = [node for part in parts for node in part.nodes]
    return Spec(
        root=root,
        files=texts,
        project=_once(shape, nodes, "project", (part.project for part in parts)) or "",
        variables=_named(shape, "variables", (part.variables for part in parts)),
        environments=_named(shape, "environments", (part.environments for part in parts)),
        providers=_maps(shape, "providers", [part.providers for part in parts]),
        state=_once(shape, nodes, "state", (part.state for part in parts)),
        resources=_named(shape, "resources", (part.resources for part in parts)),
        modules=_named(shape, "modules", (part.modules for part in parts)),
        outputs=_named(shape, "outputs", (part.outputs for part in parts)),
        moved=tuple(item for part in parts for item in part.moved),
        removed=tuple(item for part in parts for item in part.removed),
        imports=tuple(item for part in parts for item in part.imports),
        policies=tuple(item for part in parts for item in part.policies),
        stacks=_maps(shape, "stacks", [part.stacks for part in parts]),
        budget=_once(shape, nodes, "budget", (part.budget for part in parts)) or {},
        unreadable=frozenset().union(*(part.unreadable for part in parts)),
        nodes=tuple(nodes),
    )


def _twice(shape: Shape, what: str, first: Span | None, second: Span | None) -> None:
    related = ((first, "first here"),) if first else ()
    shape.problem("spec.duplicate_name", f"{what} is given twice", second, "remove or rename one of them", related)


def _once(shape: Shape, nodes: list[YamlMap], key: str, values: Iterable[Any]) -> Any:
    """A block that only one file may give; the same plain value twice does no harm."""
    given = [node for node in nodes if node.get(key) is not None]
    for node in given[1:]:
        if isinstance(node[key], YamlMap) or node[key] != given[0][key]:
            _twice(shape, repr(key), given[0].key_span(key), node.key_span(key))
    return next((value for value in values if value), None)


def _named(shape: Shape, block: str, parts: Iterable[Mapping[str, _Named]]) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for part in parts:
        for name, item in part.items():
            if name in found:
                _twice(shape, f"{block}.{name}", getattr(found[name], "span", None), getattr(item, "span", None))
            else:
                found[name] = item
    return found


def _maps(shape: Shape, block: str, parts: list[YamlMap | None]) -> YamlMap | None:
    given = [part for part in parts if part is not None]
    if len(given) < 2:
        return given[0] if given else None
    merged = MergedMap(given[0].file, given[0].mark)
    for part in given:
        for name in part:
            if name in merged:
                _twice(shape, f"{block}.{name}", merged.key_span(name), part.key_span(name))
            else:
                merged.take(part, name)
    return merged
