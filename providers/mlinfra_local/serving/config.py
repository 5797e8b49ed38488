"""What a serving process serves: written by the provider, read by the process, swapped as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONFIG = "config.json"
TOKEN = "admin.token"
REASON = "failure.txt"
"""Why the process could not start, as one sentence: its log says it with a traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantConfig:
    """``uri`` and ``digest`` say which model it is, ``path`` where its folder lies. ``traffic`` is a weight; for a shadow, the
    percentage of requests that it gets a copy of."""

    uri: str
    path: str
    digest: str = ""
    traffic: int = 0
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig:
    """``sticky`` is a header's name or ``""``; ``threads`` bounds the predictions at one time; ``environment_names`` are the
    variables that the endpoint sets (their values are never written)."""

    variants: Mapping[str, VariantConfig]
    sticky: str = ""
    health_path: str = "/ping"
    threads: int = 4
    environment_names: tuple[str, ...] = field(default=())

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> ServingConfig:
        """ValueError, KeyError or TypeError when it is none."""
        variants = {name: VariantConfig(**settings) for name, settings in found["variants"].items()}
        if not any(v.traffic > 0 for v in variants.values() if not v.shadow):
            raise ValueError("no variant gets any traffic")
        return cls(
            variants=variants,
            sticky=str(found["sticky"]),
            health_path=str(found["health_path"]),
            threads=int(found["threads"]),
            environment_names=tuple(found["environment_names"]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "variants": {
                name: {"uri": v.uri, "path": v.path, "digest": v.digest, "traffic": v.traffic, "shadow": v.shadow}
                for name, v in self.variants.items()
            },
            "sticky": self.sticky,
            "health_path": self.health_path,
            "threads": self.threads,
            "environment_names": list(self.environment_names),
        }


def read_config(folder: Path) -> ServingConfig | None:
    """The config as last written; None when there is none that can be read."""
    try:
        return ServingConfig.from_json(json.loads((folder / CONFIG).read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_config(folder: Path, config: ServingConfig) -> None:
    """Replace it atomically."""
    temporary = folder / (CONFIG + ".new")
    temporary.write_text(json.dumps(config.to_json(), indent=1))
    temporary.replace(folder / CONFIG)


def write_token(folder: Path, token: str) -> None:
    """The key to the admin routes, readable by this user alone."""
    handle = os.open(folder / TOKEN, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(token)


def read_token(folder: Path) -> str:
    try:
        return (folder / TOKEN).read_text()
    except OSError:
        return ""
