"""Attributes of which parts are immutable: only a change there replaces."""

from __future__ import annotations

import pytest

from mlinfra.model.schema import Attribute, Schema
from mlinfra.model.values import UNKNOWN, Map, freeze
from mlinfra.state.compare import differences
from mlinfra.state.sealing import Sealer

SCHEMA = Schema(
    attributes={"disk": Attribute(type="map", fixed={("image", "sku"): "the image is fixed", ("parts", "size"): "so are sizes"})}
)
OLD = {"image": {"sku": "a", "tag": "1"}, "count": 1, "parts": [{"size": 1, "tag": "x"}]}


@pytest.mark.parametrize(
    ("wanted", "reasons"),
    [
        ({**OLD, "count": 2}, {""}),
        ({**OLD, "image": {"sku": "a", "tag": "2"}}, {""}),
        ({**OLD, "image": {"sku": "b", "tag": "1"}}, {"the image is fixed"}),
        ({**OLD, "image": {"sku": UNKNOWN, "tag": "1"}}, {"the image is fixed"}),
        ({**OLD, "parts": [{"size": 2, "tag": "x"}]}, {"so are sizes"}),
        ({**OLD, "parts": [{"size": 1, "tag": "y"}]}, {""}),
        ({**OLD, "parts": [{"size": 1}, {"size": 1}]}, {"so are sizes"}),
        ({"count": 1, "parts": OLD["parts"]}, {"the image is fixed"}),
    ],
)  # fmt: skip
def test_only_what_is_fixed_replaces(wanted: dict[str, object], reasons: set[str]) -> None:
    found = differences(SCHEMA, Map(disk=freeze(OLD)), Map(disk=freeze(wanted)), Sealer(b"k" * 32))
    assert {change.forces_replacement for change in found} == reasons
