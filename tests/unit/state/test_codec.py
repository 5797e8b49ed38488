"""Values survive the way into a file and back; a secret never gets there."""

from __future__ import annotations

import json

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
    r = ResourceState(
        address='a["k"]', type="t.x", provider="t", id="1", attributes=Map(a=(1,)), inputs=("a",), dependencies=("b",), deposed="k",
        replace_when=(Map(z=1),),
    )  # fmt: skip
    assert decode_resource(json.loads(json.dumps(encode_resource(r)))) == r
    assert set(encode_resource(ResourceState(address="a", type="t", provider="t", id="1"))) == {
        "address",
        "type",
        "provider",
        "id",
    }


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
