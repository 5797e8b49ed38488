"""Whose an object is: tags, or where there are none a container's metadata, or a line in a description.

https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources: names hold none of ``<>%&\\?/``, values at most 256
characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "mlinfra-"
OPERATION = "mlinfra-op"
_LINE = re.compile(r"(?:\n|\A)\[mlinfra (\S*) op=([0-9a-f]*)\]\Z")


@dataclass(frozen=True, slots=True)
class Owner:
    """Project, environment and address of the stack that makes something, and the operation that does."""

    project: str
    environment: str
    address: str
    token: str

    def tags(self) -> dict[str, str]:
        return {
            "mlinfra-project": _value(self.project),
            "mlinfra-env": _value(self.environment),
            "mlinfra-address": _value(self.address),
            OPERATION: self.token,
        }


def _value(text: str) -> str:
    """The text as a tag's value; what had to be cut carries a digest of the whole."""
    return text if len(text) <= 256 else f"{text[:247]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def own(tags: Mapping[str, Any]) -> dict[str, Any]:
    """The tags by which an object is known as ours."""
    return {k: v for k, v in tags.items() if k.lower().replace("_", "-").startswith(PREFIX)}


def others(tags: Mapping[str, Any], general: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The tags that a person gave: not our marks, nor those that the settings put on everything."""
    return {
        k: v
        for k, v in tags.items()
        if not k.lower().replace("_", "-").startswith(PREFIX) and not (k in general and k not in wanted and general[k] == v)
    }


def line(owner: Owner, limit: int = 200) -> str:
    """``[mlinfra tickets/prod/api op=…]``, never longer than ``limit`` characters."""
    place = "/".join(re.sub(r"\s+", "-", p) for p in (owner.project, owner.environment, owner.address))
    return f"[mlinfra {place[: limit - 50]} op={owner.token}]"


def with_line(text: str, owner_line: str, limit: int) -> str:
    """The description with the line of ownership at its end. The text is cut where both do not fit."""
    return f"{text[: limit - len(owner_line) - 1]}\n{owner_line}" if text else owner_line


def without_line(text: str) -> str:
    """The description as the person wrote it."""
    return _LINE.sub("", text)


def line_of(text: str) -> str:
    found = _LINE.search(text)
    return found[0].strip() if found else ""


def token_in(text: str) -> str:
    """The operation that the line of ownership names, or nothing."""
    found = _LINE.search(text)
    return found[2] if found else ""
