"""The pull request of examples/pull-request, as its readers get it: the comment, the page, Terraform's JSON, and the apply of what was approved."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from live.review.conftest import EXAMPLE, SECRET, PullRequest
from markdown_it import MarkdownIt

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("pull_request")]
SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/plan.schema.json").read_text())


def changes(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is to be done, by our address."""
    return {c["mlinfra"]["address"]: c for c in data["resource_changes"] if c["change"]["actions"] != ["no-op"]}


def test_the_comment_is_the_page_that_the_example_shows(pull_request: PullRequest) -> None:
    """``MLINFRA_UPDATE_CASES=1`` writes it; look at it rendered before you commit it."""
    golden, text = EXAMPLE / "plan.md", pull_request.text("plan.md")
    if os.environ.get("MLINFRA_UPDATE_CASES") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    assert html.count("<details>") == html.count("</details>") and html.count("<table>") == 3
    order = [html.index(part) for part in ("CHG-4711", "Destroys data", "+40,179.20", "<details>", "language-mermaid")]
    assert order == sorted(order)


def test_the_json_is_terraforms_and_tells_risk_cost_and_policy(pull_request: PullRequest) -> None:
    data = json.loads((pull_request.folder / "plan.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    found = changes(data)
    assert found["tickets"]["change"]["actions"] == ["create", "delete"]
    assert found["tickets"]["mlinfra"]["risk"]["level"] == "destroys_data"
    assert ["fields", "embedding", "dim"] in found["tickets"]["change"]["replace_paths"]
    weights = found["api"]["change"]
    assert weights["actions"] == ["update"] and found["api"]["type"] == "aws_sagemaker_endpoint"
    assert found["gpus"]["type"] == "aws_autoscaling_group"
    assert found["gpus"]["mlinfra"]["cost"]["after"]["monthly"] == pytest.approx(40179.2)
    assert data["mlinfra"]["policies"][0]["overridden"].startswith("CHG-4711")
    assert data["prior_state"]["values"]["root_module"]["resources"], "what stands is told too"


def test_show_says_the_same_of_the_saved_plan(pull_request: PullRequest) -> None:
    """The JSON of a saved plan knows no expression of what does not change: its values stand there as constants."""
    pull_request.call("show", "saved.plan", "--markdown", "again.md", "--html", "again.html", "--json-into", "again.json")
    assert pull_request.text("again.md") == pull_request.text("plan.md")
    assert pull_request.text("again.html") == pull_request.text("plan.html")
    again, first = (json.loads(pull_request.text(name)) for name in ("again.json", "plan.json"))
    jsonschema.Draft202012Validator(SCHEMA).validate(again)
    for key in ("resource_changes", "resource_drift", "output_changes", "checks", "mlinfra"):
        assert again.get(key) == first.get(key), key


def test_the_planted_secret_is_in_no_format(pull_request: PullRequest) -> None:
    assert SECRET in json.dumps([dict(c.parameters) for c in pull_request.aws.calls], default=str), "it was put to use"
    pull_request.call("show", "saved.plan", "--json")
    for file in [*pull_request.folder.glob("*.*"), *(pull_request.folder / ".mlinfra").rglob("*")]:
        if file.is_file():
            assert SECRET.encode() not in file.read_bytes(), file


def test_without_its_reason_the_policy_refuses_it_and_with_it_the_very_plan_is_applied(pull_request: PullRequest) -> None:
    refused = pull_request.call("plan", "--out", "refused.plan", code=3)
    assert "policy no_data_loss: tickets: data is not destroyed by a pull request" in refused.stdout
    assert "cannot be applied while a policy refuses it" in refused.stdout
    applied = pull_request.call("apply", "--yes", "saved.plan")
    planned = json.loads((pull_request.folder / "plan.json").read_text())["mlinfra"]["summary"]
    done = f"{planned['add']} added, {planned['change']} changed, {planned['destroy']} destroyed"
    assert planned["destroy"] == 1 and f"Apply complete! Resources: {done}." in applied.stdout
    pull_request.call("plan", "--detailed-exitcode")
    assert "CHG-4711" in pull_request.call("history", "--json").stdout
