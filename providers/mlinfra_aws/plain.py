"""Settings of AWS that need no model: all of them as they are where nothing is written, and those that a look tells to be right."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlinfra.model.values import Map, Value, freeze

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
TAKEN = ("aws:", "mlinfra:")
"""No tag of a user's begins with these."""

DEFAULTS: Map = freeze(
    {
        "region": None,
        "profile": None,
        "assume_role": None,
        "endpoint_url": None,
        "default_tags": {},
        "max_concurrency": 32,
        "retry_mode": "mlinfra",
        "allowed_account_ids": (),
        "images": {},
        "network": {"vpc": None, "subnets": (), "zone": None, "allow": ()},
        "milvus_uri": None,
        "ray_dashboard": None,
        "registry": None,
        "zilliz": {"api_key": None, "project": None, "endpoint": "https://api.cloud.zilliz.com", "poll": 10.0},
    }
)


def _is_text(value: Value) -> bool:
    return type(value) is str and value.isascii()


def _is_region(value: Value) -> bool:
    return _is_text(value) and REGION.fullmatch(value) is not None


def _are_tags(value: Value) -> bool:
    return type(value) is Map and all(_is_text(k) and _is_text(v) and not k.startswith(TAKEN) for k, v in value.items())


AT_SIGHT: Mapping[str, Callable[[Value], bool]] = {
    "region": _is_region,
    "profile": _is_text,
    "endpoint_url": _is_text,
    "default_tags": _are_tags,
}
