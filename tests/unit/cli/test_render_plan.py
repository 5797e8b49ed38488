"""Plans as people read them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mlinfra.cli.render_plan import NO_CHANGES, plan_text
from mlinfra.cli.terminal import Style
from mlinfra.model.change import HALF_MADE, MISSING, Action, AttributeChange, Change, Drift, Risk, RiskLevel
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.plan import Operation, OutputChange, Plan, Step
from mlinfra.model.resource import Resource
from mlinfra.model.values import UNKNOWN, Secret, SecretDigest, freeze

STEP = Step(operation=Operation.UPDATE, change=0)


def change(action: Action, address: str = "raw", **more: Any) -> Change:
    settings = {"type": "local.bucket", "provider": "local", "kind": "bucket", "component": address.partition(".")[0]}
    return Change(action=action, address=address, **{**settings, **more})


def differs(path: str, before: Any, after: Any, **more: Any) -> AttributeChange:
    return AttributeChange(path=tuple(path.split(".")), before=freeze(before), after=freeze(after), **more)


def shown(*changes: Change, width: int = 80, **more: Any) -> str:
    return plan_text(Plan(changes=changes, steps=(STEP,) if changes else (), **more), width=width)


def body(text: str) -> str:
    """What stands between the legend and the closing line."""
    return "\n\n".join(text.split("\n\n")[1:-1])


def test_an_empty_plan_says_that_nothing_changes() -> None:
    assert shown() == NO_CHANGES


def test_the_closing_line_counts_and_mentions_imports_first() -> None:
    some = [change(Action.CREATE, f"a{i}") for i in range(4)] + [change(Action.UPDATE, "u")]
    assert shown(*some).split("\n")[-1] == "Plan: 4 to add, 1 to change, 0 to destroy."
    assert shown(change(Action.REPLACE)).split("\n")[-1] == "Plan: 1 to add, 0 to change, 1 to destroy."
    assert (
        shown(change(Action.IMPORT, import_id="x")).split("\n")[-1] == "Plan: 1 to import, 0 to add, 0 to change, 0 to destroy."
    )


def test_a_create_lists_what_it_makes_and_what_is_known_later() -> None:
    after = freeze({"name": "tickets-raw", "versioning": True, "uri": UNKNOWN, "unset": None})
    assert body(shown(change(Action.CREATE, after=after))) == (
        "  # raw will be created\n  + local.bucket\n"
        '      + name       = "tickets-raw"\n'
        "      + versioning = true\n"
        "      + uri        = (known after apply)"
    )


def test_an_update_shows_nested_paths_before_and_after() -> None:
    attributes = (
        differs("variants.champion.traffic", 90, 50),
        differs("tags.owner", MISSING, "me"),
        differs("old", [1, 2], MISSING),
        differs("url", "http://a", UNKNOWN),
    )
    assert body(shown(change(Action.UPDATE, "api", attributes=attributes))) == (
        "  # api will be updated in-place\n  ~ local.bucket\n"
        "      ~ variants.champion.traffic = 90 → 50\n"
        '      + tags.owner = "me"\n'
        "      - old = [1, 2]\n"
        '      ~ url = "http://a" → (known after apply)'
    )


def test_values_that_do_not_fit_on_a_line_stand_on_two() -> None:
    text = shown(change(Action.UPDATE, attributes=(differs("x", "a" * 50, "b" * 50),)))
    assert f'      ~ x =\n          - "{"a" * 50}"\n          + "{"b" * 50}"' in text
    assert max(len(line) for line in text.split("\n")) <= 80


def test_two_long_values_are_cut_to_where_they_differ() -> None:
    before, after = "x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000
    text = shown(change(Action.UPDATE, attributes=(differs("x", before, after),)))
    assert "xold" in text and "xnew" in text
    assert len(text) < 1000


def test_texts_are_compared_line_by_line() -> None:
    lines = [f"line {i}" for i in range(20)]
    after = [*lines[:10], "other", *lines[11:]]
    text = shown(change(Action.UPDATE, attributes=(differs("script", "\n".join(lines), "\n".join(after)),)))
    assert "          - line 10\n          + other\n            line 11" in text
    assert "line 3" not in text


def test_what_forces_a_replacement_is_pointed_at_with_its_source() -> None:
    attributes = (differs("fields.dim", 384, 768, forces_replacement="a collection's schema is fixed"),)
    text = body(shown(change(Action.REPLACE, "tickets", attributes=attributes, reason="said again", create_first=True)))
    assert text == (
        "  # tickets must be replaced\n+/- local.bucket, the new one first\n"
        "      ~ fields.dim = 384 → 768\n"
        "        ^^^^^^^^^^ forces replacement: a collection's schema is fixed"
    )


def test_a_replacement_that_destroys_first_has_its_own_sign_and_reason() -> None:
    text = shown(change(Action.REPLACE, reason=HALF_MADE))
    assert "  # raw is tainted, so must be replaced\n-/+ local.bucket: it was left half-made, or marked by state taint" in text
    assert "-/+ destroy, then create again" in text


def test_a_run_says_which_input_moved() -> None:
    moved = (differs("inputs.train", "sha256:" + "a" * 64, "sha256:" + "b" * 64),)
    text = shown(change(Action.UPDATE, "fit", runs=True, attributes=moved))
    assert "  # fit will be updated in-place\n  ~ local.bucket runs again: inputs.train changed" in text
    assert '~ inputs.train = "sha256:aaaaaaaaaaaa…" → "sha256:bbbbbbbbbbbb…"' in text
    assert text.split("\n")[-2:] == ["1 will run your code.", "Plan: 0 to add, 1 to change, 0 to destroy."]


@pytest.mark.parametrize(
    ("reason", "head"),
    [
        ("runs again: inputs.train changed", "runs again: inputs.train changed"),
        ("runs again if code changes", "runs again if code changes"),
    ],
)
def test_the_planner_s_reason_of_a_run_is_not_said_twice(reason: str, head: str) -> None:
    assert f"  ~ local.bucket {head}\n" in shown(change(Action.UPDATE, "fit", runs=True, reason=reason, may_be_noop=True))


def test_what_may_turn_out_unchanged_says_so() -> None:
    assert "may turn out unchanged" in shown(change(Action.UPDATE, may_be_noop=True, attributes=(differs("x", 1, UNKNOWN),)))


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (RiskLevel.DESTROYS_DATA, "⚠ destroys data: drops it: 3 vectors"),
        (RiskLevel.INTERRUPTS_SERVING, "⚠ interrupts serving: drops it: 3 vectors"),
        (RiskLevel.COSTS_MONEY, "⚠ costs money: drops it: 3 vectors"),
        (RiskLevel.SAFE, "· drops it: 3 vectors"),
    ],
)
def test_risks_are_shown_with_their_sentence(level: RiskLevel, line: str) -> None:
    assert f"      {line}" in shown(change(Action.DELETE, risk=Risk(level, "drops it: 3 vectors")))


def test_a_deletion_shows_enough_to_know_what_goes() -> None:
    before = freeze({f"k{i}": "v" * 200 if i == 0 else i for i in range(9)})
    text = body(shown(change(Action.DELETE, before=before, reason="it is not in the spec any more")))
    assert text.startswith("  # raw will be destroyed\n  - local.bucket: it is not in the spec any more\n")
    assert text.endswith("        … and 3 more")
    assert max(len(line) for line in text.split("\n")) <= 80


def test_deposed_objects_forgotten_and_moved_resources_are_named() -> None:
    text = shown(
        change(Action.DELETE, deposed="1a2b"),
        change(Action.FORGET, "kept"),
        change(Action.NOOP, "new", moved_from="old"),
        change(Action.NOOP, "silent"),
        change(Action.IMPORT, "mine", import_id="bucket-1"),
    )
    assert "  # raw (deposed object 1a2b) will be destroyed\n  - local.bucket" in text
    assert "  # kept will no longer be managed by mlinfra, but will not be destroyed\n  . local.bucket" in text
    assert "  # old has moved to new\n    local.bucket" in text
    assert "silent" not in text
    assert "  # mine will be imported\n  > local.bucket from bucket-1" in text


def test_the_resources_of_one_component_stand_together_and_tell_its_kind() -> None:
    text = shown(change(Action.UPDATE, "api"), change(Action.UPDATE, "raw"), change(Action.UPDATE, "api.config"))
    assert body(text) == (
        "  # api will be updated in-place\n  ~ local.bucket (bucket)\n"
        "  # api.config will be updated in-place\n  ~ local.bucket (bucket)\n\n"
        "  # raw will be updated in-place\n  ~ local.bucket"
    )


def test_no_secret_is_shown_wherever_it_stands() -> None:
    sensitive = (differs("env.TOKEN", MISSING, "plain-s3cr3t", sensitive=True),)
    text = shown(
        change(
            Action.CREATE, "a", after=freeze({"env": {"TOKEN": "plain-s3cr3t"}, "key": Secret("s3cr3t")}), attributes=sensitive
        ),
        change(Action.UPDATE, "b", attributes=(differs("k", SecretDigest("d1g3st"), Secret("s3cr3t")), *sensitive)),
        change(Action.DELETE, "c", before=freeze({"key": SecretDigest("d1g3st")})),
        output_changes=(OutputChange(name="o", before="s3cr3t", after=Secret("s3cr3t"), sensitive=True),),
    )
    assert "s3cr3t" not in text and "d1g3st" not in text
    assert text.count("(sensitive") == 6


def test_drift_is_reported_apart_with_its_place() -> None:
    resource = Resource(address="raw", type="local.bucket", provider="local", span=Span("mlinfra.yaml", 4, 3))
    text = shown(
        drift=(
            Drift(address="api", type="local.endpoint", attributes=(differs("status", "running", "stopped"),)),
            Drift(address="raw", type="local.bucket", gone=True),
        ),
        resources={"raw": resource},
    )
    assert text.startswith(
        "Changed outside of mlinfra:\n\n"
        "  ~ api (local.endpoint) differs from what was recorded\n"
        '      ~ status = "running" → "stopped"\n'
        "  - raw (local.bucket) is gone  at mlinfra.yaml:4:3\n"
    )


def test_outputs_and_warnings_come_before_the_closing_line() -> None:
    text = shown(
        output_changes=(OutputChange(name="url", before=None, after=UNKNOWN), OutputChange(name="old", before="x", after=None)),
        warnings=(Diagnostic(code="w", message="careful", severity=Severity.WARNING),),
    )
    assert text == (
        'Changes to Outputs:\n  + url = (known after apply)\n  - old = "x"\n\nWarning: careful [w]\n\n'
        "Plan: 0 to add, 0 to change, 0 to destroy."
    )


def test_colours_are_only_added_around_the_same_text() -> None:
    plan = Plan(
        changes=(
            change(Action.CREATE, after=freeze({"a": UNKNOWN})),
            change(Action.REPLACE, "b", attributes=(differs("x", "a\n", "b\n"),)),
        ),
        steps=(STEP,),
    )
    colored = plan_text(plan, style=Style(True))
    assert "\x1b[32m+" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plan_text(plan)


def test_escape_sequences_in_values_and_names_do_not_reach_the_terminal() -> None:
    text = shown(
        change(Action.CREATE, after=freeze({"a\x1b[31m": "\x9b31mred", "t": "l1\n\x1b]0;x\x07"}), reason="\x1b[2J"),
        change(Action.UPDATE, "b", attributes=(differs("x", "a\n\x1b[1m", "b\n"),)),
    )
    assert not set("\x1b\x9b\x07") & set(text)


def test_a_plan_of_ten_thousand_changes_is_whole() -> None:
    changes = tuple(change(Action.CREATE, f"d{i}", after=freeze({"input": {"n": i}})) for i in range(10_000))
    text = shown(*changes)
    assert text.count(" will be created") == 10_000
    assert text.endswith("Plan: 10000 to add, 0 to change, 0 to destroy.")
