"""The values of variables: where they come from, of what type they are, and the rules that they must keep."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Span
from mlinfra.model.values import UNKNOWN, Map, Secret, Value, freeze, is_known
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.expressions import Names
from mlinfra.resolve.problems import At, Problems, span_of
from mlinfra.resolve.resolved import Inputs
from mlinfra.spec import yaml_scalars
from mlinfra.spec.document import EnvironmentBlock, Spec, Variable
from mlinfra.spec.positions import NOWHERE, YamlMap
from mlinfra.spec.suggest import did_you_mean
from mlinfra.spec.words import cut, describe
from mlinfra.spec.yaml_reader import read_text, read_yaml

PREFIX = "MLINFRA_VAR_"

_EXPECTED = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "list": "a list", "map": "a map",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Given:
    """A value for a variable. ``label`` says where it comes from (``--var size``); ``text``: it is still to be read as the
    variable's type; ``names``: its expressions are evaluated with these (None: it is taken literally)."""

    value: Any
    label: str
    at: At = None
    text: bool = False
    names: Names | None = None


def given_values(
    spec: Spec, environment: EnvironmentBlock | None, inputs: Inputs, names: Names, problems: Problems
) -> dict[str, Given]:
    """For every variable of the root spec the strongest of its sources; without defaults. Unknown names are noted, but in
    ``MLINFRA_VAR_…``, which may be meant for another spec."""
    found: dict[str, Given] = {}
    if environment is not None and environment.variables is not None:
        block = environment.variables
        for name, value in block.items():
            at = (block, name)
            if _declared(spec, name, f"environment {environment.name}", block.key_span(name), problems):
                found[name] = Given(value, f"environment {environment.name}", at, names=names)
    for key, text in inputs.environ.items():
        name = key.removeprefix(PREFIX)
        if key.startswith(PREFIX) and name in spec.variables:
            found[name] = Given(text, key, text=True)
    for path in inputs.var_files:
        block = _read_file(path, problems)
        for name in block:
            if _declared(spec, name, str(path), block.key_span(name), problems):
                found[name] = Given(block[name], str(path), (block, name))
    for name, value in inputs.variables.items():
        if _declared(spec, name, f"--var {name}", None, problems):
            found[name] = Given(value, f"--var {name}", text=isinstance(value, str))
    return found


def module_values(spec: Spec, written: YamlMap | None, label: str, names: Names, problems: Problems) -> dict[str, Given]:
    """The inputs of a module call."""
    found = {}
    for name, value in (written or {}).items():
        assert written is not None
        if name in spec.variables:
            found[name] = Given(value, label, (written, name), names=names)
        elif f"vars.{name}" not in spec.unreadable:
            hint = did_you_mean(name, spec.variables, allowed="inputs") or "the module declares no variables"
            problems.add("variable.unknown", f"{label} has no input {cut(name)!r}", written.key_span(name), hint)
    return found


def _declared(spec: Spec, name: str, source: str, span: Span | None, problems: Problems) -> bool:
    if name in spec.variables:
        return True
    if f"vars.{name}" not in spec.unreadable:
        hint = did_you_mean(name, spec.variables, allowed="variables") or "the spec declares no variables"
        problems.add("variable.unknown", f"{source}: there is no variable {cut(name)!r}", span, hint)
    return False


def _read_file(path: FilePath, problems: Problems) -> YamlMap:
    """A file of variables, YAML or JSON (which is YAML)."""
    file = str(path)
    text, unreadable = read_text(path, file)
    problems.files.setdefault(file, text)
    document = read_yaml(text, file) if not unreadable else None
    for problem in unreadable or (document.problems if document else []):
        problems.note(problem)
    value = document.value if document else None
    if isinstance(value, YamlMap):
        return value
    if value is not None:
        problems.add(
            "variable.bad_file", f"{file} must be a map of variables, not {describe(value)}", Span(file, 1, 1), "name: value"
        )
    return YamlMap(file, NOWHERE)


def checked(variable: Variable, value: Value, given: Given, problems: Problems) -> Value:
    """``value`` as the variable's type, wrapped as Secret when it is sensitive. UNKNOWN when it cannot be used, which is noted.

    What is not known yet passes: its type shows when it is used."""
    hidden = variable.sensitive or isinstance(value, Secret)
    inner = value.reveal() if isinstance(value, Secret) else value
    if inner is UNKNOWN:
        return UNKNOWN
    if given.text and isinstance(inner, str):
        inner = _from_text(variable.type, inner)
    if not _fits(variable.type, inner):
        shown = "a value of another type" if hidden else describe(inner)
        where = span_of(given.at) or variable.span
        problems.add(
            "variable.type",
            f"variable {variable.name!r} must be {_EXPECTED[variable.type]}, not {shown}",
            where,
            f"it comes from {given.label}",
            ((variable.span, "declared here"),) if variable.span and where != variable.span else (),
        )
        return UNKNOWN
    if variable.rule and is_known(inner) and not _keeps_rule(variable, inner, hidden, given, problems):
        return UNKNOWN
    return cel.secret(inner) if hidden else inner


def _fits(type_name: str, value: Value) -> bool:
    if type_name == "any" or (not is_known(value) and not isinstance(value, (Map, tuple))):
        return True
    if isinstance(value, bool):
        return type_name == "boolean"
    wanted = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "list": tuple, "map": Map}[type_name]
    return isinstance(value, wanted)  # type: ignore[arg-type]


def _from_text(type_name: str, text: str) -> Value:
    """Text from outside as a value of the type; the text itself where it is none, so that the type check reports it."""
    if type_name == "string":
        return text
    if type_name in ("integer", "number", "boolean"):
        try:
            return yaml_scalars.plain(text.strip())
        except ValueError:
            return text
    if type_name == "any" and not text.lstrip().startswith(("{", "[")):
        value = _from_text("number", text)
        return text if value is None else value
    document = read_yaml(text, "")
    return text if document.problems else freeze(document.value)


def _keeps_rule(variable: Variable, value: Value, hidden: bool, given: Given, problems: Problems) -> bool:
    try:
        kept = cel.evaluate_rule(variable.rule, {"value": value})
    except ExpressionError as error:
        place = problems.inside(variable.rule_span, variable.rule, error.offset)
        message = f"the check of variable {variable.name!r} cannot be evaluated" + ("" if hidden else f": {error.message}")
        problems.add(error.code, message, place, error.hint)
        return True
    if not isinstance(kept, bool):
        hint = 'like "value >= 1 && value <= 20"'
        problems.add(
            "expression.type", f"the check of variable {variable.name!r} must be true or false", variable.rule_span, hint
        )
        return True
    if not kept:
        shown = "its value" if hidden else cut(cel.as_text(value) if not isinstance(value, (Map, tuple)) else describe(value))
        what = variable.message or f"it must keep {variable.rule}"
        related = ((variable.rule_span, "the rule"),) if variable.rule_span else ()
        problems.add(
            "variable.check",
            f"variable {variable.name!r}: {what} ({shown} is refused)",
            span_of(given.at) or variable.span,
            f"it comes from {given.label}",
            related,
        )
    return kept
