"""How our marks (mlinfra/provider/ownership.py) are written on Azure: as tags, as a container's metadata, or as a line in a description.

https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources: names hold none of ``<>%&\\?/``, values at most 256
characters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from mlinfra.provider.ownership import PREFIX


def tag_value(text: str) -> str:
    """The text as a tag's value; what had to be cut carries a digest of the whole."""
    return text if len(text) <= 256 else f"{text[:247]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def word(text: str) -> str:
    """The text without spaces, as a line of ownership has it."""
    return re.sub(r"\s+", "-", text)


def is_ours(key: str) -> bool:
    """Whether it is the name of one of our tags; a container's metadata has no hyphens, and Azure may change the case."""
    return key.lower().replace("_", "-").startswith(PREFIX)


def own(tags: Mapping[str, Any]) -> dict[str, Any]:
    """The tags by which an object is known as ours."""
    return {k: v for k, v in tags.items() if is_ours(k)}


def others(tags: Mapping[str, Any], general: Mapping[str, str], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The tags that a person gave: not our marks, nor those that the settings put on everything."""
    return {k: v for k, v in tags.items() if not is_ours(k) and not (k in general and k not in wanted and general[k] == v)}
