"""Our addresses and types as Terraform writes them: ``api.config`` of ``aws.sagemaker_endpoint_config`` is
``aws_sagemaker_endpoint_configuration.api-config``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mlinfra.model.address import parse_address
from mlinfra.model.dataclass import dataclass
from mlinfra.model.errors import PlanError
from mlinfra.model.patterns import pattern
from mlinfra.provider.registry import Registry
from mlinfra.provider.terraform import SpeaksTerraform, TerraformType

TERRAFORM_VERSION = "1.11.4"
"""The Terraform whose output ours is like; readers check it before they read on."""

_KEYED = pattern(r'(?P<name>[a-z0-9_]+)(?:\[(?P<key>"(?:[^"\\]|\\.)*"|\d+)\])?\Z')


@dataclass(frozen=True, slots=True, kw_only=True)
class TerraformAddress:
    """``module`` is ``""`` or ``module.rag``; ``index`` None where there is no ``for_each``."""

    type: str
    name: str
    module: str = ""
    index: str | int | None = None

    @property
    def in_module(self) -> str:
        key = "" if self.index is None else f"[{json.dumps(self.index)}]"
        return f"{self.type}.{self.name}{key}"

    @property
    def whole(self) -> str:
        return f"{self.module}.{self.in_module}" if self.module else self.in_module

    @property
    def without_index(self) -> str:
        """How the configuration names all instances."""
        return f"{self.type}.{self.name}"


class Names:
    """Looks the tables up that providers bring; each provider is loaded when one of its types is first named."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry or Registry()
        self._tables: dict[str, Mapping[str, TerraformType]] = {}

    def known(self, type_name: str) -> TerraformType | None:
        """Terraform's counterpart of a native type; None when it has none."""
        provider = type_name.partition(".")[0]
        if provider not in self._tables:
            self._tables[provider] = self._table(provider)
        return self._tables[provider].get(type_name)

    def _table(self, provider: str) -> Mapping[str, TerraformType]:
        try:
            found = self._registry.get(provider)
        except PlanError:  # a plan from elsewhere: its names are ours then
            return {}
        return found.terraform if isinstance(found, SpeaksTerraform) else {}

    def type(self, type_name: str) -> str:
        known = self.known(type_name)
        return known.name if known else type_name.replace(".", "_")

    def provider(self, type_name: str) -> str:
        """``hashicorp/aws`` for what Terraform knows, ``mlinfra/local`` for what is ours alone."""
        known = self.known(type_name)
        return f"hashicorp/{known.name.partition('_')[0]}" if known else f"mlinfra/{type_name.partition('.')[0]}"

    def address(self, address: str, type_name: str) -> TerraformAddress:
        return in_terraform(address, self.type(type_name))


def in_terraform(address: str, terraform_type: str) -> TerraformAddress:
    """Dots of a role become ``-``, which no name of ours has; the keys of ``for_each`` become the index."""
    parts = parse_address(address)
    if parts is None:
        return TerraformAddress(type=terraform_type, name=re.sub(r"\W", "_", address))
    names: list[str] = []
    keys: list[str | int] = []
    for part in (parts.name, parts.role):
        if match := _KEYED.match(part):
            names.append(match["name"])
            keys += [json.loads(match["key"])] if match["key"] else []
    index = None if not keys else keys[0] if len(keys) == 1 else "/".join(map(str, keys))
    return TerraformAddress(type=terraform_type, name="-".join(names), module=parts.module, index=index)


def stream_resource(names: Names, address: str, type_name: str) -> dict[str, Any]:
    """The ``resource`` object of Terraform's event stream; ``addr`` is the address that a person knows."""
    found = names.address(address, type_name)
    return {
        "addr": address,
        "module": found.module,
        "resource": found.in_module,
        "implied_provider": found.type.partition("_")[0],
        "resource_type": found.type,
        "resource_name": found.name,
        "resource_key": found.index,
    }
