"""Whose an object is: labels, or where there are none a line in its description.

Label values allow ``[a-z0-9_-]`` and 63 characters (https://cloud.google.com/resource-manager/docs/labels-overview), so that an
address such as ``api.variant["a"]`` is written there with a digest.
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

    def labels(self) -> dict[str, str]:
        return {
            "mlinfra-project": label_value(self.project),
            "mlinfra-env": label_value(self.environment),
            "mlinfra-address": label_value(self.address),
            OPERATION: self.token,
        }

    def line(self, limit: int = 200) -> str:
        """``[mlinfra tickets/prod/api op=…]``, never longer than ``limit`` characters."""
        place = "/".join(label_value(p) for p in (self.project, self.environment, self.address))
        return f"[mlinfra {place[: limit - 50]} op={self.token}]"


def label_value(text: str) -> str:
    """The text as a label's value; what had to be changed or cut carries a digest of the whole."""
    clean = re.sub(r"[^a-z0-9_-]", "-", text.lower())
    if clean == text and len(text) <= 63:
        return clean
    return f"{clean[:54].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def label_key(text: str) -> str:
    """The text as a label's key: it begins with a letter."""
    clean = label_value(text)
    return clean if clean[:1].isalpha() else f"x-{clean}"[:63]


def own_labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    """The labels by which an object is known as ours."""
    return {k: v for k, v in labels.items() if k.startswith(PREFIX)}


def other_labels(labels: Mapping[str, Any], general: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The labels that a person gave: not our marks, nor those that the settings put on everything."""
    return {
        k: v for k, v in labels.items() if not k.startswith(PREFIX) and not (k in general and k not in wanted and general[k] == v)
    }


def with_line(text: str, owner_line: str, limit: int) -> str:
    """The description with the line of ownership at its end. The text is cut where both do not fit."""
    if not text:
        return owner_line
    return f"{text[: limit - len(owner_line) - 1]}\n{owner_line}"


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
