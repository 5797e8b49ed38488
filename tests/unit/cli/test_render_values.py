"""Values as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.cli.render_values import LONGEST, around_difference, block, inline, masked
from mlinfra.model.values import UNKNOWN, Expr, Ref, Secret, SecretDigest, freeze


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('say "hi"\n', r'"say \"hi\"\n"'),
        ("é→", '"é→"'),
        (True, "true"),
        (None, "null"),
        (1, "1"),
        (1.5, "1.5"),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a"], '[1, "a"]'),
        ({"a": 1, "b c": {"d": False}}, '{a = 1, "b c" = {d = false}}'),
        (UNKNOWN, "(known after apply)"),
        (Ref("raw", ("uri",)), "(known after apply)"),
        (Secret("x"), "(sensitive)"),
        (SecretDigest("ab"), "(sensitive)"),
    ],
)
def test_values_on_one_line(value: Any, text: str) -> None:
    assert inline(freeze(value)) == text


def test_references_can_be_shown_as_they_were_written() -> None:
    value = freeze({"a": Ref("raw", ("uri",)), "b": Expr("x-${raw.uri}", ())})
    assert inline(value, sources=True) == "{a = ${raw.uri}, b = x-${raw.uri}}"


def test_a_very_long_string_is_cut_and_counted() -> None:
    text = inline("x" * 12_345)
    assert len(text) < LONGEST + 40
    assert text.endswith("… (12,345 characters)") or text.endswith('…" (12,345 characters)')


def test_what_does_not_fit_is_spread_over_lines() -> None:
    value = freeze({"short": [1, 2], "names": ["a" * 30, "b" * 30]})
    assert block(value, 40, indent="  ") == [
        "{",
        "      short = [1, 2]",
        "      names = [",
        f'          "{"a" * 30}",',
        f'          "{"b" * 30}",',
        "      ]",
        "  }",
    ]


def test_text_of_several_lines_stands_as_it_is() -> None:
    assert block("a\nb\n", 80, indent="  ") == ["<<-EOT", "      a", "      b", "  EOT"]


def test_long_strings_are_cut_around_their_first_difference() -> None:
    before, after = around_difference("a" * 100 + "X" + "b" * 100, "a" * 100 + "Y" + "b" * 100, 40)
    assert before.startswith("…a") and "X" in before and before.endswith("b…")
    assert "Y" in after and len(after) <= 42
    assert around_difference("short", "other") == ("short", "other")


def test_masking_hides_a_whole_subtree_and_nothing_else() -> None:
    value = freeze({"env": {"TOKEN": {"a": "s3cr3t"}, "X": 1}, "list": ["s3cr3t", 2]})
    assert (
        inline(masked(value, {("env", "TOKEN"), ("list", 0)})) == "{env = {TOKEN = (sensitive), X = 1}, list = [(sensitive), 2]}"
    )
