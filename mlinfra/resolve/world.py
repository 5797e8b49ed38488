"""What all scopes of one resolution share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from mlinfra.kinds import catalog
from mlinfra.model.dataclass import maker
from mlinfra.model.errors import SpecError
from mlinfra.model.values import EMPTY, Map, Path, Ref, path_text
from mlinfra.resolve.expressions import NameProblem
from mlinfra.resolve.problems import At, Problems
from mlinfra.resolve.stacks import StackReader
from mlinfra.spec.document import Spec
from mlinfra.spec.git_source import GitSource
from mlinfra.spec.suggest import did_you_mean

if TYPE_CHECKING:
    from mlinfra.resolve.git_modules import GitModules

OutputsOf = Callable[[str], Mapping[str, str] | None]
"""The outputs (name → type) of a native kind; None when nobody knows."""

_ref = maker(Ref)
_SCALARS = frozenset({"string", "integer", "number", "boolean"})


class World:
    """Problems, the chosen environment, the modules that were read and the kinds of the components by address."""

    def __init__(
        self, spec: Spec, problems: Problems, outputs_of: OutputsOf | None, read_stack: StackReader | None = None
    ) -> None:
        self.root = spec.root
        self.project = spec.project
        self.environment = ""
        self.problems = problems
        self.kinds: dict[str, str] = {}
        self.read_stack = read_stack
        self.own_state: Callable[[], Map] = lambda: EMPTY
        self._ask_outputs_of = outputs_of
        self._outputs_of: dict[str, Mapping[str, str] | None] = {"": None}
        self._git: GitModules | None = None
        self._modules: dict[FilePath, Spec | None] = {}
        self._computing: dict[tuple[object, ...], str] = {}

    @property
    def module_files(self) -> tuple[str, ...]:
        """The spec files of all modules, relative to the root's folder."""
        own = tuple(file for spec in self._modules.values() if spec is not None for file in spec.files)
        return own + tuple(self._git.files if self._git else ())

    def fetched(self, source: GitSource, call: str, at: At) -> FilePath | None:
        """The folder of a module from git; None when it cannot be had, which is noted."""
        if self._git is None:
            from mlinfra.resolve.git_modules import GitModules

            self._git = GitModules(self.root.resolve())
        try:
            return self._git.folder(source, call)
        except SpecError as error:
            for problem in error.diagnostics:
                self.problems.add(problem.code, problem.message, at, problem.hint)
            return None
        finally:
            self.problems.files.update(self._git.files)

    def module(self, folder: FilePath, at: At) -> Spec | None:
        """The module in ``folder``; None when it cannot be used, which is noted once."""
        folder = folder.resolve()
        if folder not in self._modules:
            self._modules[folder] = None
            from mlinfra.spec.loader import read

            try:
                spec, problems = read(folder, module=True, shown=os.path.relpath(folder, self.root.resolve()))
            except SpecError as error:
                for problem in error.diagnostics:
                    if problem.span is not None:
                        self.problems.note(problem)
                    else:
                        self.problems.add(problem.code, problem.message, at, problem.hint)
            else:
                self.problems.files.update(spec.files)
                for problem in problems:
                    self.problems.note(problem)
                self._modules[folder] = spec
        return self._modules[folder]

    @contextmanager
    def computing(self, key: tuple[object, ...], label: str) -> Iterator[None]:
        """Marks what is being worked out. NameProblem with the whole circle when it needs itself."""
        if key in self._computing:
            labels = list(self._computing.values())
            circle = [*labels[list(self._computing).index(key) :], label]
            message = f"{label} needs itself" if len(circle) == 2 else f"these need each other: {' → '.join(circle)}"
            raise NameProblem("reference.cycle", message, "break the circle with a value that does not depend on it")
        self._computing[key] = label
        try:
            yield
        finally:
            del self._computing[key]

    def outputs_of(self, kind: str) -> Mapping[str, str] | None:
        """What ``${name.…}`` of a component of this kind offers; None when that is not known here."""
        if kind not in self._outputs_of:
            if kind in catalog.NAMES:
                self._outputs_of[kind] = catalog.kind(kind).outputs
            else:
                self._outputs_of[kind] = self._ask_outputs_of(kind) if self._ask_outputs_of else None
        return self._outputs_of[kind]

    def reference(self, address: str, path: Path) -> Ref:
        """A reference to what stands at ``path`` of a component. NameProblem when its kind has no such output."""
        kind = self.kinds.get(address, "")
        outputs = self.outputs_of(kind)
        if not path or outputs is None or path[0] == "kind":
            return _ref(address, path)
        name = path[0]
        if not isinstance(name, str) or name not in outputs:
            hint = did_you_mean(str(name), outputs, allowed="outputs")
            raise NameProblem("reference.unknown_output", f"{address} ({kind}) has no output {name!r}", hint)
        if len(path) > 1 and outputs[name] in _SCALARS:
            what = path_text(path[1:]).lstrip(".")
            article = "an" if outputs[name] == "integer" else "a"
            raise NameProblem("reference.unknown_output", f"{address}.{name} is {article} {outputs[name]}, it has no {what!r}")
        return _ref(address, path)
