"""Addresses: how people and the state name a resource.

    tickets                     a component
    item["a"]  item[0]          one instance of a for_each
    module.rag.vectors          a component inside a module
    api.config                  the native resource of role ``config`` that component ``api`` lowers to
    router.version["v1"]        a role with a key

An address is a plain ``str``; these functions build and take it apart. The main native resource of a component has the
component's own address.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern

NAME = pattern(r"[a-z][a-z0-9_]*\Z")
_KEY = r'(?:\[(?:"(?:[^"\\]|\\.)*"|\d+)\])?'
_PART = rf"[a-z][a-z0-9_]*{_KEY}"
_ADDRESS = pattern(rf"(?P<module>(?:module\.{_PART}\.)*)(?P<name>{_PART})(?:\.(?P<role>{_PART}))?\Z")


@dataclass(frozen=True, slots=True)
class AddressParts:
    """``module`` is ``""`` or ``"module.a.module.b"``; ``name`` includes the instance key; ``role`` is ``""`` for the main."""

    module: str
    name: str
    role: str

    @property
    def component(self) -> str:
        return f"{self.module}.{self.name}" if self.module else self.name


def parse_address(text: str) -> AddressParts | None:
    """Take an address apart; None when it is not one."""
    match = _ADDRESS.match(text)
    if not match:
        return None
    return AddressParts(match["module"].rstrip("."), match["name"], match["role"] or "")


def instance(name: str, key: str | int) -> str:
    """``instance("item", "a")`` is ``item["a"]``."""
    if isinstance(key, int):
        return f"{name}[{key}]"
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}["{escaped}"]'


def native(component: str, role: str = "", key: str | None = None) -> str:
    """The address of a native resource of ``component``."""
    if not role:
        return component
    return f"{component}.{role if key is None else instance(role, key)}"


def in_module(module: str, name: str) -> str:
    return f"{module}.{name}" if module else name


def component_of(address: str) -> str:
    """The component that a native resource belongs to."""
    parts = parse_address(address)
    return parts.component if parts else address


def matches(pattern: str, address: str) -> bool:
    """Whether ``--target pattern`` selects ``address``: itself, its instances, its natives, or all in a module."""
    if address == pattern:
        return True
    return address.startswith(pattern) and address[len(pattern)] in ".["


def follow(address: str, moved: Iterable[tuple[str, str]], declared: Container[str]) -> str:
    """Where ``moved`` (from, to) leads ``address``, through one move after the other. What belongs to a declared component has
    arrived: ``a`` → ``a["x"]`` does not move ``a["x"]`` on."""
    left = list(moved)
    while component_of(address) not in declared:
        step = next(((source, to) for source, to in left if matches(source, address)), None)
        if step is None:
            break
        left.remove(step)
        address = step[1] + address[len(step[0]) :]
    return address
