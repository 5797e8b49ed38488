"""How our marks (mlinfra/provider/ownership.py) are written on Google Cloud: as labels.

Label values allow ``[a-z0-9_-]`` and 63 characters (https://cloud.google.com/resource-manager/docs/labels-overview), so that an
address such as ``api.variant["a"]`` is written there with a digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from mlinfra.provider.ownership import PREFIX


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
