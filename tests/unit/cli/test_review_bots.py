"""Atlantis and tfcmt, which comment on pull requests, read our text: their own expressions, and how they sort the lines by them.

Atlantis: server/events/models/models.go (``PlanSuccess``). tfcmt: pkg/terraform/parser.go (``NewPlanParser``,
``NewApplyParser``, ``Parse``), as of its version 4.14."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ATLANTIS_CHANGES = re.compile(r"Plan: (?:(\d+) to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy\.")
ATLANTIS_NOTHING = re.compile(r"No changes. (Infrastructure is up-to-date|Your infrastructure matches the configuration).")
ATLANTIS_DIFF = re.compile(r"(?m)^( +)([-+~]\s)(.*)(\s=\s|\s->\s|<<|\{|\(known after apply\)| {2,}[^ ]+:.*)(.*)")
TFCMT_PASS = re.compile(r"(?m)^(Plan: \d|No changes.)")
TFCMT_FAIL = re.compile(r"(?m)^([│|] )?(Error: )")
TFCMT_WARNING = re.compile(r"(?m)^([│|] )?(Warning: )")
TFCMT_OUTPUTS = re.compile(r"(?m)^Changes to Outputs:")
TFCMT_DESTROY = re.compile(r"(?m)([1-9][0-9]* to destroy.)")
TFCMT_NOTHING = re.compile(r"(?m)^(No changes.)")
TFCMT_APPLIED = re.compile(r"(?m)^(Apply complete!)")
TFCMT_APPLY_FAILED = re.compile(r"(?m)^(Error: )")
TFCMT_RESOURCES = {
    "created": re.compile(r"^ *# (.*) will be created$"),
    "updated": re.compile(r"^ *# (.*) will be updated in-place$"),
    "deleted": re.compile(r"^ *# (.*) will be destroyed$"),
    "replaced": re.compile(r"^ *# (.*?)(?: is tainted, so)? must be replaced$"),
    "replaced as requested": re.compile(r"^ *# (.*?) will be replaced, as requested$"),
    "imported": re.compile(r"^ *# (.*?) will be imported$"),
    "moved": re.compile(r"^ *# (.*?) has moved to (.*?)$"),
}
TFCMT_MOVED_FROM = re.compile(r"^ *# \(moved from (.*?)\)$")

BEFORE = """\
version: 1
project: p
resources:
  kept: {kind: data, input: 1}
  gone: {kind: data, input: 1}
  fixed: {kind: bucket, name: old}
  asked: {kind: data, input: 1}
  was: {kind: data, input: 1}
  had: {kind: data, input: 1}
"""
AFTER = """\
version: 1
project: p
resources:
  new: {kind: data, input: 1}
  kept: {kind: data, input: 2}
  fixed: {kind: bucket, name: new}
  asked: {kind: data, input: 1}
  is: {kind: data, input: 1}
  has: {kind: data, input: 2}
moved: [{from: was, to: is}, {from: had, to: has}]
outputs: {x: "${new.output}"}
"""


def sorted_by_tfcmt(text: str) -> dict[str, list[Any]]:
    """The resources of each list, as tfcmt's comment names them: the first expression that fits a line counts."""
    found: dict[str, list[Any]] = {name: [] for name in TFCMT_RESOURCES}
    lines = text.split("\n")
    for before, line in zip(["", *lines], lines, strict=False):
        for name, pattern in TFCMT_RESOURCES.items():
            if match := pattern.search(line):
                found[name].append(match.groups() if name == "moved" else match[1])
                break
        else:
            moved = TFCMT_MOVED_FROM.search(line)
            changed = TFCMT_RESOURCES["updated"].search(before)
            if moved and changed:
                found["moved"].append((moved[1], changed[1]))
    return found


def test_they_read_which_resource_is_created_updated_destroyed_replaced_and_moved(
    run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder(BEFORE)
    first = run_mlinfra(["apply", "--yes"], folder)
    assert TFCMT_APPLIED.search(first.out) and not TFCMT_APPLY_FAILED.search(first.out + first.err)
    nothing = run_mlinfra(["plan"], folder).out
    assert ATLANTIS_NOTHING.search(nothing) and TFCMT_NOTHING.search(nothing) and not ATLANTIS_CHANGES.search(nothing)

    (folder / "mlinfra.yaml").write_text(AFTER)
    text = run_mlinfra(["plan", "--replace", "asked"], folder).out
    assert sorted_by_tfcmt(text) == {
        "created": ["new"],
        "updated": ["kept", "has"],
        "deleted": ["gone"],
        "replaced": ["fixed"],
        "replaced as requested": ["asked"],
        "imported": [],
        "moved": [("was", "is"), ("had", "has")],
    }
    found = ATLANTIS_CHANGES.search(text)
    assert found and found.groups() == (None, "3", "2", "3")
    assert TFCMT_PASS.search(text) and TFCMT_OUTPUTS.search(text) and TFCMT_DESTROY.search(text)
    assert not TFCMT_FAIL.search(text) and not TFCMT_WARNING.search(text)
    coloured = {m[3].strip() for m in ATLANTIS_DIFF.finditer(text)}
    assert {"input", "name"} <= coloured, "Atlantis moves the sign of every attribute to the start of its line"


def test_they_tell_an_import_and_that_everything_is_to_be_destroyed(
    run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder("version: 1\nproject: p\nresources: {made: {kind: bucket, name: made}}\n")
    assert run_mlinfra(["apply", "--yes"], folder).code == 0
    assert run_mlinfra(["state", "rm", "made"], folder).code == 0
    (folder / "mlinfra.yaml").write_text(
        "version: 1\nproject: p\nresources: {made: {kind: bucket, name: made}}\nimports: [{to: made, id: made}]\n"
    )
    imported = run_mlinfra(["plan"], folder).out
    assert sorted_by_tfcmt(imported)["imported"] == ["made"]
    assert ATLANTIS_CHANGES.search(imported).groups() == ("1", "0", "0", "0")  # type: ignore[union-attr]
    assert run_mlinfra(["apply", "--yes"], folder).code == 0
    destroyed = run_mlinfra(["plan", "--destroy"], folder).out
    assert sorted_by_tfcmt(destroyed)["deleted"] == ["made"]
    assert ATLANTIS_CHANGES.search(destroyed).groups() == (None, "0", "0", "1")  # type: ignore[union-attr]


def test_they_see_that_a_plan_failed_and_what_it_warns_of(
    run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder("version: 1\nproject: p\nresources: {a: {kind: bukcet}}\n")
    failed = run_mlinfra(["plan"], folder)
    said = failed.out + failed.err
    assert failed.code == 1 and TFCMT_FAIL.search(said) and not TFCMT_PASS.search(said)
    (folder / "mlinfra.yaml").write_text(
        "version: 1\nproject: p\nresources: {a: {kind: data, input: 1}}\n"
        "policies: [{name: careful, warn: 'true', message: look again}]\n"
    )
    warned = run_mlinfra(["plan"], folder)
    said = warned.out + warned.err
    assert warned.code == 0 and TFCMT_WARNING.search(said) and TFCMT_PASS.search(said) and not TFCMT_FAIL.search(said)
