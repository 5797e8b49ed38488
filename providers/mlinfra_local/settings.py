"""What may stand under ``providers: {local: …}``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class LocalConfig(BaseModel):
    """``root`` replaces the data folder (default: ``.mlinfra/local`` beside the spec)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None
