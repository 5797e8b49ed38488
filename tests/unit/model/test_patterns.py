"""Patterns are compiled when they are first used, and are then what ``re`` makes of them."""

from __future__ import annotations

import re

import pytest

from mlinfra.model.patterns import pattern


def test_a_pattern_does_what_a_compiled_one_does() -> None:
    late, soon = pattern(r"(?P<word>[a-z]+)-(\d+)", re.IGNORECASE), re.compile(r"(?P<word>[a-z]+)-(\d+)", re.IGNORECASE)
    text = "Ab-12, cd-3"
    assert late.findall(text) == soon.findall(text) and late.sub("x", text) == soon.sub("x", text)
    found = late.match(text)
    assert found is not None and found["word"] == "Ab" and late.groups == soon.groups and late.flags == soon.flags


def test_what_cannot_be_compiled_is_told_at_its_first_use() -> None:
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.match("x")
