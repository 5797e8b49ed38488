"""The policies that count for a spec: its own and those of the files that it names, each rule compiled once."""

from __future__ import annotations

from mlinfra.model.policy import CHANGE_FIELDS, Budget, Policy
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.problems import Problems
from mlinfra.spec.document import PolicyBlock, Spec
from mlinfra.spec.policy_blocks import read_policy_file
from mlinfra.spec.shape import Shape

NAMES = ("change", "env", "project")
"""What a rule may read."""


def policies(spec: Spec, problems: Problems) -> tuple[tuple[Policy, ...], dict[str, str]]:
    """Every policy in the order written, and the texts of the shared files by name."""
    files: dict[str, str] = {}
    found: dict[str, Policy] = {}
    for block in _unfolded(spec, files, problems):
        policy = block.policy
        assert policy is not None
        if policy.name in found:
            related = ((found[policy.name].span, "first here"),) if found[policy.name].span else ()
            problems.add("spec.duplicate_name", f"policy {policy.name!r} is given twice", policy.span, "rename one", related)  # type: ignore[arg-type]
            continue
        found[policy.name] = policy
        try:
            cel.check_rule(policy.rule, NAMES, CHANGE_FIELDS)
        except ExpressionError as error:
            problems.in_expression(error, policy.span, policy.rule)
    return tuple(found.values()), files


def _unfolded(spec: Spec, files: dict[str, str], problems: Problems) -> list[PolicyBlock]:
    found: list[PolicyBlock] = []
    for block in spec.policies:
        if not block.file:
            found.append(block)
            continue
        path = spec.root / block.file
        if not path.is_file():
            message = f"there is no policy file {block.file}"
            problems.add("policy.no_file", message, block.span, f"it is looked for at {path}")
            continue
        shape = Shape()
        inside, text = read_policy_file(shape, path, block.file)
        problems.files.setdefault(block.file, text)
        files[block.file] = text
        for problem in shape.problems:
            problems.note(problem)
        for nested in inside:
            if nested.file:
                problems.add(
                    "policy.nested", f"{block.file} names another policy file, {nested.file}", nested.span, "name it in the spec"
                )
            else:
                found.append(nested)
    return found


def budget(spec: Spec, environment: str) -> Budget | None:
    """The environment's own, else that of all."""
    return spec.budget.get(environment) or spec.budget.get("")
