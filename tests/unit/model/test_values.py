"""Maps are frozen, secrets stay secret, deferred values are carried through look-ups."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from mlinfra.model.values import UNKNOWN, Map, Ref, Secret, SecretDigest, freeze, is_known, lookup, path_text


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.__setitem__("a", 2),
        lambda m: m.__delitem__("a"),
        lambda m: m.update(a=2),
        lambda m: m.setdefault("b", 1),
        lambda m: m.pop("a"),
        lambda m: m.popitem(),
        lambda m: m.clear(),
        lambda m: m.__ior__({"a": 2}),
    ],
)
def test_a_map_refuses_every_change(change: Any) -> None:
    frozen = Map(a=1)
    with pytest.raises(TypeError, match="frozen"):
        change(frozen)
    assert frozen == {"a": 1}


def test_a_secret_is_not_shown_and_not_serialised() -> None:
    secret = Secret("planted")
    assert "planted" not in f"{secret!r} {secret} {Map(key=secret)} {SecretDigest('d')}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(Map(key=secret))
    assert secret.reveal() == "planted"
    assert secret == Secret("planted") != Secret("other")


def test_a_secret_around_an_unknown_is_not_known() -> None:
    assert not is_known(freeze({"a": [Secret(UNKNOWN)]}))
    assert is_known(freeze({"a": [Secret("x")]}))


def test_looking_into_a_reference_extends_it() -> None:
    tree = freeze({"db": Ref("vectors", ("connection",)), "later": UNKNOWN})
    assert lookup(tree, ("db", "uri", 0)) == Ref("vectors", ("connection", "uri", 0))
    assert lookup(tree, ("later", "anything")) is UNKNOWN


def test_looking_for_what_is_not_there_names_the_path() -> None:
    with pytest.raises(KeyError, match=r"steps\[1\]"):
        lookup(freeze({"steps": ["a"]}), ("steps", 1))


def test_paths_are_written_as_people_write_them() -> None:
    assert path_text(("steps", "clean", 0, "null_rate(label)")) == 'steps.clean[0]["null_rate(label)"]'
    assert str(Ref("raw", ("uri",))) == "raw.uri"
