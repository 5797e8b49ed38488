"""Values survive the way into a file and back; a secret never gets there."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.model.change import MISSING
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import UNKNOWN, Expr, Map, Ref, Secret, SecretDigest, freeze
from mlinfra.state.codec import decode, decode_resource, encode, encode_resource
from mlinfra.state.entries import Close, Depose, Drop, Intent, Outputs, Record, Rename, decode_entry, encode_entry

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(plain)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    frozen = freeze(value)
    assert decode(json.loads(json.dumps(encode(frozen)))) == frozen


@pytest.mark.parametrize(
    "leaf",
    [
        UNKNOWN,
        MISSING,
        Ref("a", ("b", 0)),
        SecretDigest("ff"),
        Expr("${a.b}!", ((("a", "b"), Ref("a", ("b",))),)),
        Map({"$secret": "no"}),
    ],
)
def test_leaves_come_back_as_they_were(leaf: object) -> None:
    assert decode(json.loads(json.dumps(encode(Map({"x": (leaf,)}))))) == Map({"x": (leaf,)})


def test_a_secret_is_never_encoded() -> None:
    with pytest.raises(TypeError, match="sealed"):
        encode(Map({"x": Secret("s")}))


def test_a_record_comes_back_as_it_was_and_defaults_take_no_room() -> None:
    full = ResourceState(
        address='a["k"]', type="t.x", provider="t", id="1", attributes=Map(a=(1,)), inputs=("a",), dependencies=("b",),
        schema_version=2, tainted=True, deposed="k", protect=True, create_first=True, component="a", kind="data", named="c",
        version=7, replace_when=(Map(z=1),), existing=True,
    )  # fmt: skip
    encoded = encode_resource(full)
    assert encoded.keys() == {f.name for f in fields(ResourceState)}
    assert decode_resource(json.loads(json.dumps(encoded))) == full
    bare = ResourceState(address="a", type="t", provider="t", id="1")
    encoded = encode_resource(bare)
    assert encoded.keys() == {"address", "type", "provider", "id"}
    assert decode_resource(encoded) == bare


def test_a_record_with_more_or_less_than_this_version_knows_is_refused() -> None:
    encoded = encode_resource(ResourceState(address="a", type="t", provider="t", id="1"))
    with pytest.raises(TypeError, match="colour"):
        decode_resource({**encoded, "colour": "red"})
    with pytest.raises(KeyError, match="id"):
        decode_resource({name: value for name, value in encoded.items() if name != "id"})


@pytest.mark.parametrize(
    "entry",
    [
        Record(resource=ResourceState(address="a", type="t", provider="t", id="1"), op="x"),
        Intent(op="x", operation="create", address="a", resource=ResourceState(address="a", type="t", provider="t", id="")),
        Drop(address="a", deposed="k"),
        Depose(address="a", key="k"),
        Close(op="x"),
        Rename(moves=Map(a="b")),
        Outputs(values=Map(a=1), sensitive=("b",)),
    ],
)
def test_every_entry_comes_back_as_it_was(entry: object) -> None:
    assert decode_entry(json.loads(json.dumps(encode_entry(entry)))) == entry  # type: ignore[arg-type]
