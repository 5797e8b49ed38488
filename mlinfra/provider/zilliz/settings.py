"""What may stand under ``zilliz`` in a cloud's settings. The key comes from ``ZILLIZ_API_KEY`` or from ``${secret('…')}``."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from mlinfra.model.values import Secret

PUBLIC = "https://api.cloud.zilliz.com"


class ZillizSettings(BaseModel):
    """``api_key``   a key with rights over the project and its clusters (default: the environment variable ``ZILLIZ_API_KEY``)
    ``project``   the id of the Zilliz Cloud project that clusters are made in (default: the only one that the key sees)
    ``endpoint``  where its REST API is (``https://api.cloud.zilliz.com.cn`` in China)
    ``poll``      seconds between two looks at a cluster that is being made
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    api_key: SecretStr | None = None
    project: str | None = Field(default=None, pattern=r"^proj-[0-9a-z]+$")
    endpoint: str = PUBLIC
    poll: float = Field(default=10.0, gt=0, le=300)

    @field_validator("api_key", mode="before")
    @classmethod
    def _reveal(cls, value: object) -> object:
        return value.reveal() if isinstance(value, Secret) else value

    @field_validator("endpoint")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if not re.match(r"https://[^/]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)", value):
            raise ValueError(f"{value!r} is no https:// address: the key would be sent in the clear")
        return value.rstrip("/")
