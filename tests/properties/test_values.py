"""Value trees, addresses, names and units hold their promises for any input."""

from __future__ import annotations

import json
import pickle
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from mlinfra.kinds.units import format_bytes, parse_bytes, parse_seconds
from mlinfra.model import address as addresses
from mlinfra.model.values import UNKNOWN, Map, Ref, freeze, is_known, leaves, lookup, references, thaw, transform
from mlinfra.provider.naming import digest_of, physical_name

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
keys = st.text(max_size=6)


def trees(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12)


refs = st.builds(Ref, st.sampled_from(["raw", "notes"]), st.tuples(st.sampled_from(["id", "uri"])))
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(trees(plain))
def test_freezing_and_thawing_gives_the_same_tree(tree: Any) -> None:
    assert thaw(freeze(tree)) == tree


@given(trees(plain))
def test_a_frozen_tree_is_hashable_json_and_survives_pickling(tree: Any) -> None:
    frozen = freeze(tree)
    hash(frozen)
    assert json.loads(json.dumps(frozen)) == json.loads(json.dumps(tree))
    assert pickle.loads(pickle.dumps(frozen)) == frozen


@given(trees(plain | refs))
def test_a_transformation_that_changes_nothing_returns_the_very_tree(tree: Any) -> None:
    frozen = freeze(tree)
    assert transform(frozen, lambda leaf: leaf) is frozen


@given(trees(plain | refs | st.just(UNKNOWN)))
def test_every_leaf_is_found_at_its_path(tree: Any) -> None:
    frozen = freeze(tree)
    for path, leaf in leaves(frozen):
        found = lookup(frozen, path)
        assert found is leaf or found == leaf


@given(trees(plain | refs))
def test_a_tree_is_known_exactly_when_no_reference_is_left(tree: Any) -> None:
    frozen = freeze(tree)
    assert is_known(frozen) == (not list(references(frozen)))
    assert is_known(transform(frozen, lambda leaf: "x" if isinstance(leaf, Ref) else leaf))


@given(
    st.lists(st.tuples(names, st.none() | st.text(max_size=6) | st.integers(0, 99)), min_size=1, max_size=3), st.none() | names
)
def test_an_address_is_taken_apart_as_it_was_built(parts: list[tuple[str, str | int | None]], role: str | None) -> None:
    assume(parts[-1][0] != "module" and role != "module")
    built = [name if key is None else addresses.instance(name, key) for name, key in parts]
    component = built[-1]
    for name in reversed(built[:-1]):
        component = addresses.in_module(f"module.{name}", component)
    whole = addresses.native(component, role or "")
    taken = addresses.parse_address(whole)
    assert taken is not None
    assert taken.component == component
    assert taken.role == (role or "")
    assert addresses.component_of(whole) == component
    assert addresses.matches(component, whole)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=80), st.integers(24, 80))
def test_physical_names_keep_within_their_limits(project: str, environment: str, address: str, limit: int) -> None:
    name = physical_name(project, environment, address, limit=limit, content={"a": 1})
    assert len(name) <= limit
    assert all(c in "abcdefghijklmnopqrstuvwxyz0123456789-" for c in name)
    assert name == physical_name(project, environment, address, limit=limit, content={"a": 1})


@given(names, names)
def test_two_addresses_never_share_a_physical_name(one: str, other: str) -> None:
    assume(one != other)
    assert physical_name("p", "e", one) != physical_name("p", "e", other)


@given(st.dictionaries(keys, plain, min_size=2, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(tree: dict[str, Any]) -> None:
    assert digest_of(Map(tree)) == digest_of(Map(dict(reversed(tree.items()))))


@given(st.integers(0, 10**17))
def test_a_size_in_bytes_is_read_as_written(size: int) -> None:
    assert parse_bytes(f"{size}B") == size
    assert parse_bytes(f"{size}KiB") == size * 1024
    assert format_bytes(size)


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    assert parse_seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds
