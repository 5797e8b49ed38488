"""Plans and states as JSON data, graphs, tables, states as text."""

from __future__ import annotations

import json

from mlinfra.cli.render_graph import dot, mermaid
from mlinfra.cli.render_json import diagnostic_json, dumps, outputs_json, state_json, value_json
from mlinfra.cli.render_state import outputs_text, raw_text, resource_text, state_table, state_text
from mlinfra.cli.tables import table
from mlinfra.model.diagnostic import Diagnostic, Span
from mlinfra.model.resource import ResourceState
from mlinfra.model.state import State
from mlinfra.model.values import Secret, SecretDigest, freeze


def recorded(address: str, **more: object) -> ResourceState:
    attributes = freeze({"name": address, "token": SecretDigest("d1g3st")})
    settings = {"id": f"id-{address}", "attributes": attributes, **more}
    return ResourceState(address=address, type="local.bucket", provider="local", **settings)  # type: ignore[arg-type]


STATE = State(
    lineage="l",
    serial=3,
    resources={r.key: r for r in (recorded("b", tainted=True), recorded("a"), recorded("a", deposed="1f"))},
    outputs=freeze({"url": "http://x", "key": SecretDigest("d1g3st"), "n": 3}),
    sensitive_outputs=("key",),
)


def test_a_state_as_json_is_sorted_and_hides_what_is_secret() -> None:
    data = state_json(STATE)
    assert [(r["address"], r.get("deposed")) for r in data["resources"]] == [("a", None), ("a", "1f"), ("b", None)]
    assert data["resources"][2]["tainted"] is True
    assert data["resources"][0]["sensitive"] == ["token"]
    assert data["outputs"]["key"] == {"value": "(sensitive)", "type": "any", "sensitive": True}
    assert "d1g3st" not in dumps(data)


def test_outputs_as_json_have_value_type_and_sensitivity() -> None:
    data = outputs_json(freeze({"b": True, "l": [1], "m": {"a": 1}, "s": "x"}), ("s",))
    assert {name: d["type"] for name, d in data.items()} == {"b": "boolean", "l": "list", "m": "map", "s": "string"}
    assert data["s"]["value"] == "(sensitive)"


def test_json_is_always_valid_json() -> None:
    assert json.loads(dumps(value_json(freeze({"inf": float("inf"), "nan": float("nan")})))) == {"inf": "inf", "nan": "nan"}


def test_a_problem_as_json_has_its_range_as_editors_count() -> None:
    data = diagnostic_json(
        Diagnostic(code="c", message="m", span=Span("f", 1, 2, 3, 4), hint="h", related=((Span("g", 5, 6), "r"),))
    )
    assert data["range"] == {"filename": "f", "start": {"line": 1, "column": 2}, "end": {"line": 3, "column": 4}}
    assert data["related"][0]["range"]["end"] == {"line": 5, "column": 7}


def test_a_state_as_text_shows_marks_and_outputs_and_no_secret() -> None:
    text = state_text(STATE)
    assert "b (local.bucket) tainted" in text and "a (local.bucket) deposed 1f" in text
    assert 'id    = "id-a"' in text and "token = (sensitive)" in text
    assert text.endswith('Outputs:\n\nkey = (sensitive)\nn   = 3\nurl = "http://x"')
    assert state_text(State()) == "The state is empty: nothing has been applied yet."


def test_a_recorded_resource_names_what_it_needs() -> None:
    assert resource_text(recorded("a", dependencies=("x", "y"), protect=True)).endswith("    needs: x, y")


def test_outputs_line_up() -> None:
    assert outputs_text(freeze({"predict_url": "http://x", "n": 1})) == 'n           = 1\npredict_url = "http://x"'


def test_raw_text_is_for_scripts() -> None:
    assert [raw_text(v) for v in ("a b", 1, True, 1.5)] == ["a b", "1", "true", "1.5"]
    assert [raw_text(v) for v in (None, freeze([1]), SecretDigest("x"), Secret("x"))] == [None] * 4


def test_a_table_lines_up_and_is_cut_only_when_asked() -> None:
    rows = [("raw", "local.bucket", "x" * 100), ("long_name", "t", "multi\nline")]
    whole = table(("address", "type", "id"), rows).split("\n")
    assert whole[0] == "ADDRESS    TYPE          ID"
    assert whole[1] == f"raw        local.bucket  {'x' * 100}"
    assert whole[2] == "long_name  t             multi line"
    assert max(len(line) for line in table(("address", "type", "id"), rows, width=40).split("\n")) == 40
    assert state_table(STATE.resources.values()).split("\n")[2].endswith("id-a (deposed 1f)")


GRAPH = {"raw": (), 'item["a"]': ("raw",), "api": ('item["a"]',), "api.config": ("api",)}


def test_dot_quotes_names_and_boxes_components() -> None:
    text = dot(GRAPH)
    assert '  "item[\\"a\\"]" -> "raw";' in text
    assert '    label = "api";' in text and '    "api.config";' in text
    assert text.count("{") == text.count("}") == 2


def test_mermaid_gives_plain_ids_and_escaped_labels() -> None:
    lines = mermaid(GRAPH).split("\n")
    assert lines[0] == "graph RL"
    assert '  n1["item[#quot;a#quot;]"]' in lines
    assert "  n1 --> n0" in lines and "  n3 --> n2" in lines
    assert lines.count('    n2["api"]') == 1 and '  n2["api"]' not in lines
