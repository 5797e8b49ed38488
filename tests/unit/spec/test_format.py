"""``mlinfra fmt``: one layout, the same meaning, every comment kept, and a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.model.errors import SpecError
from mlinfra.spec.format import format_text
from mlinfra.spec.yaml_reader import read_yaml

CASES = [
    ("trailing blanks", "a: 1   \nb: 2\t\n", "a: 1\nb: 2\n"),
    ("final newline", "a: 1", "a: 1\n"),
    ("too many final newlines", "a: 1\n\n\n", "a: 1\n"),
    ("blank lines", "\n\na: 1\n\n\n\nb: 2\n", "a: 1\n\nb: 2\n"),
    ("windows", "a:\r\n    b: 1\r\n", "a:\n  b: 1\n"),
    ("byte-order mark", "\ufeffa: 1\n", "a: 1\n"),
    ("indentation", "a:\n      b:\n       c: 1\n", "a:\n  b:\n    c: 1\n"),
    ("colons", "a :    1\n'b'   :  2\n", "a: 1\n'b': 2\n"),
    ("dashes", "a:\n-   1\n-  - 2\n   - 3\n", "a:\n  - 1\n  - - 2\n    - 3\n"),
    ("maps in lists", "a:\n-   b: 1\n    c: 2\n", "a:\n  - b: 1\n    c: 2\n"),
    ("comments", "# top\na:    # one\n   # inside\n   b: 1 # two\n   # still inside\n# outside\nc: 2\n",
     "# top\na:  # one\n  # inside\n  b: 1  # two\n  # still inside\n# outside\nc: 2\n"),
    ("comments in lists", "a:\n# first\n- 1\n# second\n- 2\nb: 1\n", "a:\n  # first\n  - 1\n  # second\n  - 2\nb: 1\n"),
    ("flow style stays", "a: {b: 1,   c: [1,2]}\n", "a: {b: 1,   c: [1,2]}\n"),
    ("flow over lines", "a:\n    b: {\n      c: 1,   # why\n    }\n", "a:\n  b: {\n    c: 1,   # why\n  }\n"),
    ("block text", "a:\n      b: |\n          x\n            y\n\n          z\n      c: >-\n       w\n",
     "a:\n  b: |\n    x\n      y\n\n    z\n  c: >-\n    w\n"),
    ("block text that keeps its blank lines", "a: |+\n    x\n\n\nb: 1\n", "a: |+\n  x\n\n\nb: 1\n"),
    ("block text with a given indentation", "a:\n    b: |2\n        x\n       y\n", "a:\n  b: |2\n      x\n     y\n"),
    ("text over lines", "a:\n    b: one\n      two\n    c: \"three\n       four\"\n", "a:\n  b: one\n    two\n  c: \"three\n     four\"\n"),
    ("anchors", "a:   &x\n    b: 1\nc:   *x\nd:\n    <<:   *x\n", "a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n"),
    ("value on its own line", "a:\n     long\nb:\n     {c: 1}\n", "a:\n  long\nb:\n  {c: 1}\n"),
    ("document start", "---\na:\n    b: 1\n", "---\na:\n  b: 1\n"),
    ("hash in text", "a: 'x # y'   # z\nb: x#y\n", "a: 'x # y'  # z\nb: x#y\n"),
    ("nothing", "\n\n", ""),
    ("only comments", "   # a\n\n\n# b\n", "# a\n\n# b\n"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_layout(written: str, wanted: str) -> None:
    assert format_text(written) == wanted
    assert format_text(wanted) == wanted


@pytest.mark.parametrize("text", ["? a\n:   b\n", "a: 1\u2028   \n", "-   ? a\n", "a: |\n    no newline at the end"])
def test_what_is_too_unusual_stays_as_it_is(text: str) -> None:
    assert format_text(text) == text


@pytest.mark.parametrize("text", ["a: [\n", "a:\n\tb: 1\n", "a: 1\n  b: 2\n", "[" * 100])
def test_what_is_no_yaml_is_an_error_with_a_place(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        format_text(text, "my.yaml")
    assert str(caught.value.diagnostics[0].span).startswith("my.yaml:")


def test_a_spec_with_other_mistakes_is_formatted_all_the_same() -> None:
    assert format_text("a:   1\na:   2\nb:   !x y\n") == "a: 1\na: 2\nb: !x y\n"


SPEC = (Path(__file__).parents[2] / "properties" / "seeds" / "tickets.yaml").read_text()
KEYS = st.sampled_from(["a", "b", "run", "'quoted key'", '"x: y"', "k1", "&k c"])
SCALARS = st.sampled_from(
    ["1", "x y", "'it''s # no comment'", '"a\\n b"', "${raw.uri}", "&s v", "!!str 5", "~", "", "http://x", '"two\n   lines"',
     "plain\n      lines"]
)  # fmt: skip
COMMENTS = st.sampled_from(["", " # c", "      # d"])


@st.composite
def blocks(draw: st.DrawFn, indent: int = 0, depth: int = 0) -> str:
    """A block map or list, laid out carelessly."""
    lines: list[str] = []
    pad = " " * indent
    is_list = draw(st.booleans())
    for number in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", "  ", f"{pad}# note", "# far left", f"{pad}   # deep"])))
        if is_list:
            head = pad + "-" + " " * draw(st.integers(1, 3))
        else:
            gap = " " * draw(st.integers(0, 2)) + ":" + " " * draw(st.integers(1, 3))
            head = (
                f"{pad}{draw(KEYS).replace('&k', f'&k{indent}')}{number}{gap}" if draw(st.booleans()) else f"{pad}n{number}{gap}"
            )
        kind = draw(st.integers(0, 4)) if depth < 3 else 0
        step = draw(st.integers(1, 5))
        if kind == 0:
            lines.append(head + draw(SCALARS) + draw(COMMENTS))
        elif kind == 1:
            lines += [head.rstrip() + draw(COMMENTS), draw(blocks(indent + step, depth + 1))]
        elif kind == 2:
            style = draw(st.sampled_from(["|", ">", "|-", ">+", "|2"]))
            inner = " " * (indent + (2 if style == "|2" else step))
            lines += [head + style + draw(COMMENTS), inner + "text # no comment", "", inner + "  more"]
        elif kind == 3:
            lines += [head + "{x: 1," + draw(COMMENTS), f"{pad} y: [a,", f"{pad}   b] }}"]
        elif is_list:
            nested = draw(blocks(len(head), depth + 1))
            lines.append(head + nested[len(head) :] if nested.startswith(" " * len(head) + "-") else head + "z")
        else:
            lines += [head.rstrip(), f"{pad}- p", f"{pad}- q"]
    return "\n".join(lines)


def meaning(text: str) -> list[tuple[object, ...]]:
    names = ("anchor", "tag", "value", "style")
    return [(type(e), *(getattr(e, n, None) for n in names)) for e in yaml.parse(text, Loader=yaml.SafeLoader)]


@settings(deadline=None)
@given(blocks())
def test_formatting_keeps_the_meaning_and_every_comment_and_comes_to_rest(text: str) -> None:
    if read_yaml(text, "f").problems:
        return
    formatted = format_text(text)
    assert meaning(formatted) == meaning(text)
    assert "".join(formatted.split()) == "".join(text.split())
    assert format_text(formatted) == formatted


@settings(deadline=None)
@given(st.integers(0, len(SPEC)), st.sampled_from([" ", "\n", "#", "  ", "\n\n", "- ", '"', "&a ", "|\n", ": "]))
def test_a_real_spec_with_a_scratch_keeps_its_meaning(place: int, scratch: str) -> None:
    text = SPEC[:place] + scratch + SPEC[place:]
    try:
        formatted = format_text(text)
    except SpecError:
        return
    assert meaning(formatted) == meaning(text)
    assert format_text(formatted) == formatted


def test_the_careless_blocks_are_mostly_good_yaml_and_get_changed() -> None:
    text = "a :  1\nb:\n     - x\n     -  y\n"
    assert format_text(text) == "a: 1\nb:\n  - x\n  - y\n"
