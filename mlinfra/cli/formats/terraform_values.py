"""Resources of one side of a plan as Terraform's values representation: nested by module, with their marks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from mlinfra.cli.formats.terraform_names import TerraformAddress
from mlinfra.cli.formats.trees import HIDDEN, known_json, sensitive_tree
from mlinfra.model.change import Change
from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.values import UNKNOWN, Map, Path, Value, is_known
from mlinfra.provider.terraform import Beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Terraform resource of a plan, attributes in Terraform's shape. ``part_of``: the resource that it is one half of;
    ``has_siblings``: other instances of its ``for_each`` stay."""

    address: TerraformAddress
    provider: str
    before: Map | None = None
    after: Map | None = None
    change: Change | None = None
    replace_paths: tuple[Path, ...] = ()
    previous: TerraformAddress | None = None
    has_siblings: bool = False
    part_of: TerraformAddress | None = None

    def head(self) -> dict[str, Any]:
        """What every representation of it begins with."""
        data: dict[str, Any] = {"address": self.address.whole}
        if self.address.module:
            data["module_address"] = self.address.module
        data |= {"mode": "managed", "type": self.address.type, "name": self.address.name}
        if self.address.index is not None:
            data["index"] = self.address.index
        return {**data, "provider_name": self.provider}

    def as_before(self) -> Instance:
        return replace(self, after=self.before)

    def beside(self, kind: Beside, before: Map | None, after: Map | None) -> Instance | None:
        """The further resource of that kind; None when neither side has one."""
        was = kind.shape(before) if before is not None else None
        becomes = kind.shape(after) if after is not None else None
        if was is None and becomes is None:
            return None
        parent = (self.after or self.before or Map()).get(kind.parent, UNKNOWN)
        return replace(
            self,
            address=replace(self.address, type=kind.name),
            before=None if was is None else Map({kind.parent: parent, **was}),
            after=None if becomes is None else Map({kind.parent: parent, **becomes}),
            replace_paths=(),
            part_of=self.address,
        )


def side(tree: Map | None, id: str | None) -> Map | None:
    """The attributes with ``id``, which every resource of Terraform's has."""
    if tree is None or "id" in tree:
        return tree
    return Map({**tree, "id": UNKNOWN if id is None else id})


def module_tree(instances: Iterable[Instance], *, ids: bool = False) -> dict[str, Any]:
    """``{"resources": […], "child_modules": […]}``, of what stands after; ``ids``: nothing in it can be unknown."""
    root: dict[str, Any] = {}
    modules: dict[str, dict[str, Any]] = {"": root}
    for i in sorted(instances, key=lambda i: (i.address.module, i.address.whole)):
        after = i.after if i.after is not None else Map()
        if ids:
            after = Map({k: v for k, v in after.items() if is_known(v)})
        resource = {
            **{k: v for k, v in i.head().items() if k != "module_address"},
            "schema_version": 0,
            "values": known_json(after),
            "sensitive_values": sensitive_tree(after),
        }
        _module(modules, i.address.module).setdefault("resources", []).append(resource)
    return root


def _module(modules: dict[str, dict[str, Any]], address: str) -> dict[str, Any]:
    if address not in modules:
        parent = address.rpartition(".module.")[0]
        modules[address] = {"address": address}
        _module(modules, parent).setdefault("child_modules", []).append(modules[address])
    return modules[address]


def output_values(outputs: Mapping[str, Value], hidden: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in outputs.items():
        secret = name in hidden or bool(sensitive_tree(value))
        data: dict[str, Any] = {"sensitive": secret}
        if is_known(value) or secret:
            data["value"] = HIDDEN if secret else known_json(value)
        found[name] = data
    return {"outputs": found} if found else {}
