"""YAML 1.2 with places, every problem of a file in one go, and nothing that could exhaust the machine."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mlinfra.model.diagnostic import Span
from mlinfra.spec.positions import YamlList, YamlMap, find_span
from mlinfra.spec.yaml_reader import MAX_DEPTH, read_text, read_yaml


def value_of(text: str) -> Any:
    document = read_yaml(text, "f.yaml")
    assert document.problems == []
    return document.value


def problems_of(text: str) -> list[tuple[str, str]]:
    """Code and ``line:column`` of every problem."""
    return [(p.code, f"{p.span.line}:{p.span.column}") for p in read_yaml(text, "f.yaml").problems if p.span]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True), ("True", True), ("FALSE", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("null", None), ("~", None), ("", None), ("Null", None), ("none", "none"),
        ("0", 0), ("-12", -12), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("017", "017"), ("007", "007"), ("1_000", "1_000"),
        ("12:30:45", "12:30:45"), ("2024-01-31", "2024-01-31"), ("2024-01-31T10:00:00Z", "2024-01-31T10:00:00Z"),
        ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("-1.5E-2", -0.015), (".inf", math.inf), ("-.INF", -math.inf),
        ("1.2.3", "1.2.3"), ("0b101", "0b101"), ("-", "-"), ("+", "+"), ("1e", "1e"), (".", "."),
        ("'true'", "true"), ('"5"', "5"), ("!!str 5", "5"), ("! 5", "5"), ("!!int 5", 5), ("!!float 5", 5.0), ("!!bool true", True),
        ("${raw.uri}", "${raw.uri}"), ("=", "="),
    ],
)  # fmt: skip
def test_scalars_mean_what_yaml_1_2_says(written: str, meant: Any) -> None:
    if written == "-":
        written = "'-'"
    found = value_of(f"a: {written}\n")["a"]
    assert found == meant
    assert type(found) is type(meant)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(value_of("a: .nan")["a"])


def test_every_key_and_value_has_its_place() -> None:
    root = value_of("a:\n  bc:   [1, {d: x}]\n  'e': >-\n    long\n    text\n")
    assert isinstance(root, YamlMap)
    assert (str(root.key_span("a")), str(root.value_span("a"))) == ("f.yaml:1:1", "f.yaml:2:3")
    assert str(root["a"].key_span("bc")) == "f.yaml:2:3"
    assert str(root["a"].value_span("bc")) == "f.yaml:2:9"
    found = find_span(root, ("a", "bc", 1, "d"))
    assert found is not None
    assert (found.line, found.column, found.end_line, found.end_column) == (2, 17, 2, 18)
    assert str(find_span(root, ("a", "bc", 1, "d"), key=True)) == "f.yaml:2:14"
    assert str(root["a"].key_span("e")) == "f.yaml:3:3"


def test_columns_count_characters_not_bytes() -> None:
    root = value_of("ä: {ö: 'ü', z: 1}\n")
    assert str(root["ä"].key_span("z")) == "f.yaml:1:13"


def test_the_place_of_a_map_ends_with_its_last_value() -> None:
    root = value_of("a:\n  b: 1\n  c: two\n\n\nd: 3\n")
    assert root["a"].span == Span("f.yaml", 2, 3, 3, 9)


def test_scalar_keys_become_their_text() -> None:
    assert value_of("1: a\ntrue: b\n~: c\n2.50: d\n") == {"1": "a", "true": "b", "~": "c", "2.50": "d"}


def test_a_key_that_is_no_text_is_refused_and_the_rest_is_read() -> None:
    assert problems_of("[a]: 1\nb: 2\n{c: d}: {e: f}\ng: 3\n") == [("yaml.bad_key", "1:1"), ("yaml.bad_key", "3:1")]
    assert read_yaml("[a]: 1\nb: 2\n", "f").value == {"b": 2}


def test_duplicate_keys_are_all_found_with_both_places() -> None:
    document = read_yaml("a: 1\nb:\n  c: 1\n  c: {x: 1}\na: 2\n", "f.yaml")
    assert [(str(p.span), [str(s) for s, _ in p.related]) for p in document.problems] == [
        ("f.yaml:4:3", ["f.yaml:3:3"]),
        ("f.yaml:5:1", ["f.yaml:1:1"]),
    ]
    assert document.value == {"a": 1, "b": {"c": 1}}


def test_keys_that_only_look_alike_are_different() -> None:
    assert value_of("a: 1\nA: 2\n") == {"a": 1, "A": 2}


def test_aliases_give_the_anchored_value_again() -> None:
    root = value_of("a: &x {k: [1, 2]}\nb: *x\nc: &y text\nd: [*y, *x]\n*y : key\n")
    assert root["b"] == {"k": [1, 2]}
    assert root["d"] == ["text", {"k": [1, 2]}]
    assert root["text"] == "key"
    assert str(root.value_span("b")) == "f.yaml:2:4"
    assert str(root["b"].value_span("k")) == "f.yaml:1:11"


def test_merge_keys_fill_in_what_is_not_written() -> None:
    root = value_of("base: &b {x: 1, y: 1}\nmore: &m {y: 2, z: 2}\none:\n  <<: *b\n  x: 5\ntwo: {z: 9, <<: [*m, *b]}\n")
    assert root["one"] == {"x": 5, "y": 1}
    assert root["two"] == {"z": 9, "y": 2, "x": 1}
    assert str(root["one"].key_span("y")) == "f.yaml:1:17"


def test_a_quoted_merge_key_is_an_ordinary_key() -> None:
    assert value_of("a: {'<<': 1}") == {"a": {"<<": 1}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<<: 5", ("yaml.bad_merge", "1:5")),
        ("a: {<<: [1]}", ("yaml.bad_merge", "1:9")),
        ("a: &a {}\n<<: *a\n<<: *a\n", ("yaml.duplicate_key", "3:1")),
        ("a: *nobody", ("yaml.unknown_alias", "1:4")),
        ("a: &a [1, *a]", ("yaml.alias_loop", "1:11")),
        ("a: !custom 5", ("yaml.unknown_tag", "1:4")),
        ("a: !!python/object:os.system {}", ("yaml.unknown_tag", "1:4")),
        ("a: !!timestamp 2024-01-01", ("yaml.unknown_tag", "1:4")),
        ('a: "x\\0y"', ("yaml.nul", "1:4")),
        ("a: !!int five", ("yaml.bad_tag", "1:4")),
        ("a: !!set {b}", ("yaml.unknown_tag", "1:4")),
        ("a: 1\n---\nb: 2\n", ("yaml.many_documents", "2:1")),
        ("a: 99999999999999999999", ("yaml.bad_number", "1:4")),
        ("a: " + "9" * 5000, ("yaml.bad_number", "1:4")),
        ("a: 1e999", ("yaml.bad_number", "1:4")),
        ("a: !!int " + "9" * 5000, ("yaml.bad_number", "1:4")),
        ("a:\n\tb: 1\n", ("yaml.syntax", "2:1")),
        ("a: 1\nb: \x07\n", ("yaml.syntax", "2:4")),
        ("a: \ud800", ("yaml.syntax", "1:4")),
        ("a: \ufeff", ("yaml.syntax", "1:4")),
        ("a: [1, 2\nb: 3\n", ("yaml.syntax", "2:2")),
        ("a: b: c", ("yaml.syntax", "1:5")),
        ("a: @x", ("yaml.syntax", "1:4")),
        ('a: "x\n', ("yaml.syntax", "2:1")),
        ("%YAML 3.0\n--- {}\n", ("yaml.syntax", "1:1")),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(text: str, problem: tuple[str, str]) -> None:
    assert problem in problems_of(text)


def test_a_syntax_error_does_not_hide_what_was_found_before() -> None:
    assert [code for code, _ in problems_of("a: 1\na: 2\nb: !t 1\nc: [\n")] == [
        "yaml.duplicate_key",
        "yaml.unknown_tag",
        "yaml.syntax",
    ]


def test_a_tab_is_called_a_tab() -> None:
    assert "tab" in read_yaml("a:\n\tb: 1\n", "f").problems[0].message


def test_an_unquoted_expression_in_braces_hints_at_quotes() -> None:
    problem = read_yaml("a: {b: ${c}}\n", "f").problems[0]
    assert "quote ${…}" in problem.hint


def test_alias_bombs_are_refused_before_they_expand() -> None:
    lines = ["a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]" for last, name in zip("abcdefgh", "bcdefghi", strict=True)]
    assert [code for code, _ in problems_of("\n".join(lines))] == ["yaml.alias_bomb"]


def test_merge_bombs_are_refused() -> None:
    big = "{" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}"
    lines = [f"a: &a {big}", *(f"m{i}: {{<<: *a, x: {i}}}" for i in range(300))]
    assert [code for code, _ in problems_of("\n".join(lines))] == ["yaml.alias_bomb"]


def test_ordinary_reuse_is_no_bomb() -> None:
    lines = ["base: &base {a: 1, b: 2, c: [1, 2, 3]}", *(f"r{i}: {{<<: *base, n: {i}}}" for i in range(5000))]
    assert len(value_of("\n".join(lines))) == 5001


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 50_000 + "x",
        "\n".join(" " * i + f"k{i}:" for i in range(2000)),
        "x: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "a: &a " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 40 + "*a" + "]" * 40,
    ],
    ids=["lists", "maps", "dashes", "indents", "one-too-many", "through-an-alias"],
)
def test_deep_nesting_is_refused_not_endured(text: str) -> None:
    assert problems_of(text)[0][0] in ("yaml.too_deep", "yaml.syntax")


def test_reasonable_nesting_is_read() -> None:
    text = "[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1)
    found = value_of("a: " + text)["a"]
    for _ in range(MAX_DEPTH - 1):
        assert isinstance(found, YamlList)
        found = found[0]
    assert found == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "--- \n...\n"])
def test_an_empty_file_is_nothing_without_a_problem(text: str) -> None:
    assert value_of(text) is None


def test_windows_line_ends_keep_the_places() -> None:
    assert str(value_of("a: 1\r\nb:\r\n  c: 2\r\n")["b"].key_span("c")) == "f.yaml:3:3"


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_text(file, "f.yaml") == ("a: 1\n", [])


@pytest.mark.parametrize(
    ("content", "place"),
    [(b"a: 1\nb: \xff\n", "f.yaml:2:4"), ("a: ü\n".encode("latin-1"), "f.yaml:1:4"), ("a: 1\n".encode("utf-16"), "f.yaml:1:1")],
)
def test_a_file_that_is_not_utf_8_is_refused_with_the_place(tmp_path: Path, content: bytes, place: str) -> None:
    file = tmp_path / "f.yaml"
    file.write_bytes(content)
    _, problems = read_text(file, "f.yaml")
    assert [(p.code, str(p.span)) for p in problems] == [("yaml.encoding", place)]


def test_a_file_of_monstrous_size_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    with file.open("wb") as handle:
        handle.truncate(100 * 2**20)
    assert [p.code for p in read_text(file, "f.yaml")[1]] == ["yaml.too_large"]


def test_a_file_that_cannot_be_opened_is_a_problem_not_an_exception(tmp_path: Path) -> None:
    assert [p.code for p in read_text(tmp_path / "none.yaml", "none.yaml")[1]] == ["yaml.unreadable"]
