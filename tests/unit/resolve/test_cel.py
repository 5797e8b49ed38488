from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mlinfra.model.values import UNKNOWN, Expr, Map, Ref, Secret, Value, freeze
from mlinfra.resolve import cel
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.shared import shared
from mlinfra.resolve.template import parse


def expr(source: str, **values: Any) -> Expr:
    """``raw__uri="x"`` binds the chain raw.uri."""
    return Expr(source, tuple((tuple(name.split("__")), freeze(value)) for name, value in values.items()))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (expr("${a + 1}", a=2), 3),
        (expr("${a * 1.5}", a=2.0), 3.0),
        (expr("${a > 1 && b in ['x']}", a=2, b="x"), True),
        (expr("${a.split(',')}", a="x,y"), ("x", "y")),
        (expr("${a.join('-')}", a=["x", "y"]), "x-y"),
        (expr("${'%s is %d'.format([a, 3])}", a="x"), "x is 3"),
        (expr("${math.greatest(a, 5)}", a=2), 5),
        (expr("${a.sort().map(x, x * 2)}", a=[3, 1]), (2, 6)),
        (expr("${a.distinct()}", a=[1, 1, 2]), (1, 2)),
        (expr("${lists.range(3)}"), (0, 1, 2)),
        (expr("${a.flatten().slice(0, 2)}", a=[[1, 2], [3]]), (1, 2)),
        (expr("${ {'k': a, 'l': [true, null]} }", a={"b": 1}), Map(k=Map(b=1), l=(True, None))),
        (expr("${raw.uri + other.uri}", raw__uri="a", other__uri="b"), "ab"),
        (expr("${raw.uri + string(raw.size())}", raw__uri="a", raw={"uri": "a", "n": 1}), "a2"),
        (expr("${has(a.x) ? a.x : 'none'}", a={}), "none"),
        (expr("${duration('90s')} ${timestamp('2020-01-01T00:00:00Z')}"), "90s 2020-01-01T00:00:00Z"),
        (expr("${raw.uri}", raw={"uri": (1, 2)}), (1, 2)),
    ],
)
def test_evaluates_to_frozen_values_of_their_own_type(expression: Expr, value: Value) -> None:
    result = cel.evaluate(expression)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (None, "null"), (3, "3"), (3.0, "3"), (0.5, "0.5"), (1e20, "1e+20"), (-2, "-2"), ("é", "é")],
)
def test_parts_inside_text_become_text(value: Value, text: str) -> None:
    assert cel.evaluate(expr("<${a}>", a=value)) == f"<{text}>"


def test_map_inside_text_is_refused_at_its_place() -> None:
    with pytest.raises(ExpressionError, match="a map cannot stand inside text") as error:
        cel.evaluate(expr("ab ${a}", a={"x": 1}))
    assert error.value.offset == 5


@pytest.mark.parametrize(
    ("expression", "message", "at"),
    [
        (expr("${1 + 'a'}"), "+ cannot be applied to int and string", "+"),
        (expr("${a + }", a=1), "this is no valid expression: something is missing at the end", None),
        (expr("${a.sorrt()}", a=[1]), "there is no function sorrt()", "("),
        (expr("${size()}"), "size() does not take these arguments", "("),
        (expr("${a.b + 1}", a={}), "there is no key 'b'", None),
        (expr("${a[4] + 1}", a=[1]), "the list has 1 items, there is none at [4]", None),
        (expr("${a + 1}", a="x"), "+ cannot be applied to string and int", None),
        (expr("${1 / 0}"), "divide by zero", None),
        (expr("${b'x'}"), "the result is neither text, number, boolean, list nor map", None),
        (expr("${ {1: 2} }"), "the keys of a map must be strings, not 1", None),
        (expr("${a.x.map(i, i).zork(1)}", a={}), "there is no function zork()", "("),
        (
            expr("${a.filter(i, true).map(i, i + 1) + 'x'}", a=[]),
            "+ cannot be applied to list and string",
            None,
        ),
        (expr("${1.map(i, i)}"), "only a list or a map can be walked over, not int", "."),
        (expr("${a.map(i, i)}", a=3), "only a list or a map can be walked over, not int", None),
        (expr("${a ? 1 : 2}", a="x"), "a condition must be true or false", None),
        (expr("${1.0 / 0.0}"), "the result is inf, which is no number", None),
        (expr("${optional.none()}"), "the result is an optional; end it with .orValue(…)", None),
        (expr("${raw.foo}", raw={"fob": 1}), "raw has no foo", "r"),
        (expr("${x.map(i, x.map(j, x.map(k, 1)))}", x=list(range(200))), "Iteration budget exceeded", None),
    ],
)
def test_errors_are_in_our_words_and_at_their_column(expression: Expr, message: str, at: str | None) -> None:
    with pytest.raises(ExpressionError) as error:
        cel.evaluate(expression)
    assert error.value.message == message
    assert at is None or expression.source[error.value.offset] == at
    for noise in ("INVALID_ARGUMENT", "<input>", "UNKNOWN:", "mismatched"):
        assert noise not in str(error.value)


def test_misspelt_function_gets_a_suggestion() -> None:
    with pytest.raises(ExpressionError) as error:
        cel.check("${raw.spllit(',')}")
    assert error.value.hint == "did you mean 'split'?"


def test_too_deep_an_expression_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        cel.check("${" + "(" * 500 + "1" + ")" * 500 + "}")


def test_names_that_are_also_placeholders_or_types_do_not_collide() -> None:
    assert cel.evaluate(expr("${A + x.map(B, B + y).size() + 0}", A=1, x=[1, 2], y=3)) == 3
    assert cel.evaluate(expr("${type(1) == int ? a : b}", a=1, b=2)) == 1
    names = {f"name{i}": i for i in range(30)}
    assert cel.evaluate(expr("${" + " + ".join(names) + "}", **names)) == sum(range(30))


def test_substitute_returns_the_same_object_when_nothing_changes() -> None:
    tree = freeze({"a": [1, {"b": "x"}], "c": Ref("raw", ("uri",)), "d": Secret("s")})
    assert cel.substitute(tree, lambda ref: ref) is tree
    waiting = Map(e=Expr("${raw.uri + 'a'}", ((("raw", "uri"), Ref("raw", ("uri",))),)))
    assert cel.substitute(waiting, lambda ref: ref) is waiting


def test_substitute_evaluates_what_became_complete_and_keeps_the_rest() -> None:
    tree = freeze(
        {
            "whole": Ref("raw", ("uri",)),
            "text": Expr("${raw.uri}/${b.id}", ((("raw", "uri"), Ref("raw", ("uri",))), (("b", "id"), Ref("b", ("id",))))),
            "sum": Expr("${raw.n + 1}", ((("raw", "n"), Ref("raw", ("n",))),)),
        }
    )
    values = {Ref("raw", ("uri",)): "u", Ref("raw", ("n",)): 2}
    once = cel.substitute(tree, lambda ref: values.get(ref, ref))
    assert once == Map(
        whole="u", text=Expr("${raw.uri}/${b.id}", ((("raw", "uri"), "u"), (("b", "id"), Ref("b", ("id",))))), sum=3
    )
    assert cel.substitute(once, lambda ref: "i")["text"] == "u/i"
    assert cel.substitute(once, lambda ref: UNKNOWN)["text"] is UNKNOWN


def test_ref_may_become_another_ref() -> None:
    tree = Expr("${a.x + 1}", ((("a", "x"), Ref("a", ("x",))),))
    moved = cel.substitute(tree, lambda ref: Ref("a.main", ref.path))
    assert moved == Expr("${a.x + 1}", ((("a", "x"), Ref("a.main", ("x",))),))
    assert cel.substitute(moved, lambda ref: 1) == 2


def test_nested_values_of_a_binding_are_replaced_too() -> None:
    tree = Expr("${item.map(k, item[k])}", ((("item",), Map(a=Ref("a"), b=Secret(Ref("b")))),))
    result = cel.substitute(tree, lambda ref: ref.address)
    assert result == Secret(("a", "b"))


def test_secret_makes_its_result_secret_and_is_not_shown() -> None:
    result = cel.substitute(expr("key=${vars.k}", vars__k=Secret("hush")), lambda ref: ref)
    assert result == Secret("key=hush")
    with pytest.raises(ExpressionError) as error:
        cel.evaluate(expr("${vars.k + 1}", vars__k=Secret("hush")))
    assert "hush" not in str(error.value)
    with pytest.raises(ExpressionError, match="sensitive") as error:
        cel.evaluate(expr("${'x'.matches(vars.k)}", vars__k=Secret("hush(")))
    assert "hush" not in str(error.value)
    assert cel.substitute(Secret(Ref("a")), lambda ref: UNKNOWN) is UNKNOWN
    assert cel.substitute(Secret(Ref("a")), lambda ref: Secret(1)) == Secret(1)


def test_descends_through_refs_secrets_and_unknown() -> None:
    tree = freeze({"r": Ref("raw"), "s": Secret(Map(x=1)), "u": UNKNOWN, "l": [1]})
    assert cel.descend(tree, ("r", "a", 0)) == Ref("raw", ("a", 0))
    assert cel.descend(tree, ("s", "x")) == Secret(1)
    assert cel.descend(tree, ("u", "x")) is UNKNOWN
    assert cel.descend(tree, ("l", 0)) == 1
    with pytest.raises(KeyError, match=r"l\[3\]"):
        cel.descend(tree, ("l", 3))


def test_similar_expressions_share_one_program() -> None:
    first, second = (parse(f"${{r{n}.output + 1}}").codes[0] for n in (1, 2))
    assert shared(first).text == shared(second).text
    assert cel.evaluate(expr("${r1.output + 1}", r1__output=1)) == 2
    assert cel.evaluate(expr("${r2.output + 1}", r2__output=2)) == 3


def test_walk_over_a_map_has_the_same_order_in_every_process() -> None:
    program = (
        "from mlinfra.resolve import cel\n"
        "from mlinfra.model.values import Expr, Map\n"
        "items = Map({f'k{i}': i for i in range(12)})\n"
        'e = \'${m.filter(k, m[k] > 1).map(k, k) + {"z": 1, "a": 2, "q": 3}.map(k, k)}\'\n'
        "print(cel.evaluate(Expr(e, ((('m',), items),))))\n"
    )
    runs = {subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout for _ in range(3)}
    keys = sorted(f"k{i}" for i in range(2, 12))
    assert runs == {f"{(*keys, 'a', 'q', 'z')}\n"}
