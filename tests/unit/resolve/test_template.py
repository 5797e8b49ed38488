from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.resolve.template import Code, TemplateError, chains, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw.uri", [("raw", "uri")]),
        ("features.outputs.clean", [("features", "outputs", "clean")]),
        ('item["a b"].uri', [("item", "a b", "uri")]),
        ("item['a'][0]", [("item", "a", 0)]),
        ("raw.`a-b`", [("raw", "a-b")]),
        ("module.m.out + vars.x", [("module", "m", "out"), ("vars", "x")]),
        ("item[each.key].uri", [("item",), ("each", "key")]),
        ("raw.uri.size()", [("raw", "uri")]),
        ("size(raw.uri)", [("raw", "uri")]),
        ("math.greatest(a.b, 3)", [("a", "b")]),
        ("xs.map(i, i.y + raw.z)", [("xs",), ("raw", "z")]),
        ("xs.exists(i, ys.all(j, i == j))", [("xs",), ("ys",)]),
        ("cel.bind(q, raw.x, q + q)", [("raw", "x")]),
        ("a.?b.orValue(c)", [("a",), ("c",)]),
        ("a ? b : c.d", [("a",), ("b",), ("c", "d")]),
        ("a?b:c", [("a",), ("b",), ("c",)]),
        ('"raw.uri" + r"\\" + a', [("a",)]),
        ('"""a "quoted" raw.uri""" + b', [("b",)]),
        ("a // raw.uri\n + b", [("a",), ("b",)]),
        ("true && x in [1, null]", [("x",)]),
        ('{"k": b}["k"]', [("b",)]),
        ("a.b + a.b", [("a", "b")]),
        ("1.5e3 + 0x1F + a", [("a",)]),
    ],
)
def test_finds_the_names_that_an_expression_reads(text: str, expected: list[tuple[object, ...]]) -> None:
    assert list(chains(text)) == expected


def test_braces_and_quotes_inside_an_expression_do_not_end_it() -> None:
    parsed = parse('a ${ {"}": x}["}"] } b ${f("}${")}')
    assert [p if isinstance(p, str) else p.text for p in parsed.parts] == ["a ", ' {"}": x}["}"] ', " b ", 'f("}${")']


def test_doubled_dollar_is_a_literal() -> None:
    assert parse("cost $${x} $5 $").parts == ("cost ${x} $5 $",)


@pytest.mark.parametrize("text", ["${raw.uri}", "${ raw.uri }", '${raw["uri"]}'])
def test_lone_reference_is_plain(text: str) -> None:
    whole = parse(text).whole
    assert whole is not None
    assert whole.plain is not None
    assert whole.plain.names == ("raw", "uri")
    assert whole.text[whole.plain.start : whole.plain.end].startswith("raw")


@pytest.mark.parametrize("text", ["${raw.uri} ", "${raw.uri + 1}", "${true}", "${size(raw)}"])
def test_anything_more_is_not_plain(text: str) -> None:
    whole = parse(text).whole
    assert whole is None or whole.plain is None


@pytest.mark.parametrize(("text", "offset"), [("a ${b", 2), ("${x.y} ${z", 7), ("${ }", 0), ('${f("}")', 0)])
def test_unfinished_and_empty_expressions_are_refused_with_their_place(text: str, offset: int) -> None:
    with pytest.raises(TemplateError) as error:
        parse(text)
    assert error.value.offset == offset


literals = st.text(alphabet=st.sampled_from("ab$ {}\"'\\\n"), max_size=8)
codes = st.sampled_from(["raw.uri", " x ", '"}"', "{'a': {'b': 1}}", "r'\\' + y", "a // }\n + b", "f('${')"])


@given(st.lists(st.one_of(literals, codes.map(lambda c: Code(c, 0, (), frozenset(), None))), max_size=6))
def test_what_is_written_is_read_back(parts: list[str | Code]) -> None:
    text, expected = "", [""]
    for part in parts:
        if isinstance(part, Code):
            if text.endswith("$"):
                continue  # a $ before ${ is how a literal is written
            text += "${" + part.text + "}"
            expected += [part.text, ""]
        else:
            joined = expected[-1] + part
            if "${" in joined.removeprefix(expected[-1]) or (expected[-1].endswith("$") and part.startswith("{")):
                part = part.replace("$", "").replace("{", "")
                joined = expected[-1] + part
            text += part
            expected[-1] = joined
    got: list[str] = [""]
    for piece in parse(text).parts:
        if isinstance(piece, str):
            got[-1] += piece
        else:
            got += [piece.text, ""]
    assert got == expected


@given(st.text(alphabet=st.sampled_from("ab$ {x}"), max_size=20))
def test_escaped_text_is_literal(text: str) -> None:
    assert "".join(map(str, parse(text.replace("${", "$${")).parts)) == text
