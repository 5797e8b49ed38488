"""The comment on a pull request: what it says, that Markdown cannot be broken by what a plan holds, that it always fits."""

from __future__ import annotations

import os
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from fakes.pull_request import SECRET, pull_request
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlinfra.cli.formats.facts import facts
from mlinfra.cli.formats.markdown import LIMIT, marker, plan_markdown
from mlinfra.model.change import Action, Change
from mlinfra.model.plan import Plan
from mlinfra.model.policy import Effect, Verdict
from mlinfra.model.values import freeze

GOLDEN = Path(__file__).parent / "pull_request.html"
UPDATE = os.environ.get("MLINFRA_UPDATE_CASES") == "1"


def rendered(text: str) -> str:
    """By a CommonMark renderer, with GitHub's tables."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def test_a_pull_request_of_the_usual_size_reads_as_the_golden_page() -> None:
    html = rendered(plan_markdown(pull_request()))
    if UPDATE:
        GOLDEN.write_text(html)
    assert html == GOLDEN.read_text()


def test_risk_and_cost_come_first_and_differences_are_folded() -> None:
    text = plan_markdown(pull_request())
    order = [
        text.index(part) for part in ("Policy warnings", "Destroys data", "USD a month", "| `~` |", "<details>", "```mermaid")
    ]
    assert order == sorted(order)
    html = rendered(text)
    assert html.count("<table>") == 3 and html.count("<details>") == text.count("</details>") == 10
    assert html.count('<code class="language-diff">') == 8 and html.count('<code class="language-mermaid">') == 1
    assert "1,204,331 vectors" in html and "+8,036.00" in html and "CHG-4711" in html


def test_the_comment_can_be_found_again_and_mentions_nobody() -> None:
    text = plan_markdown(pull_request())
    assert text.startswith(marker(pull_request()) + "\n") and "<!-- mlinfra plan: tickets/prod -->" in text
    assert "@ops" not in text and "&#64;ops" in text
    assert SECRET not in text


def many(n: int, size: int = 400) -> Plan:
    made = [
        Change(action=Action.CREATE, address=f"r{i}", type="local.data", provider="local", after=freeze({"input": "x" * size}))
        for i in range(n)
    ]
    return replace(pull_request(), changes=(*pull_request().changes, *made), needs={f"r{i}": ("raw",) for i in range(n)})


@pytest.mark.parametrize("n", [0, 50, 200, 3000])
@pytest.mark.parametrize("limit", [4_000, 20_000, LIMIT])
def test_it_fits_whatever_the_plan_and_says_what_it_cut(n: int, limit: int) -> None:
    text = plan_markdown(many(n), limit=limit)
    assert len(text.encode()) <= limit
    html = rendered(text)
    assert html.count("<details>") == html.count("</details>")
    assert "Destroys data" in html and "<strong>all of it</strong>" in html
    whole = html.count('<code class="language-diff">') >= len(facts(many(n)))
    assert whole or "Cut to fit" in html, text[-600:]


def test_the_riskiest_differences_are_the_last_to_be_cut() -> None:
    text = plan_markdown(many(200), limit=12_000)
    assert "<b>tickets</b>" in text and "<b>r199</b>" not in text
    assert "the differences of" in text and "mlinfra show PLANFILE" in text


NASTY = st.text(st.sampled_from("`|<>&*_[]()#~\\\n\r@!-$ab{}\"'\x1b\u202e"), min_size=1, max_size=40)


@given(NASTY, NASTY, NASTY)
def test_nothing_that_a_plan_holds_becomes_markup(value: str, message: str, address: str) -> None:
    change = Change(
        action=Action.DELETE,
        address=address,
        type="t",
        provider="p",
        before=freeze({"a": value, "b": f"{value}\n{value}"}),
        reason=message,
    )
    plan = Plan(
        changes=(change,), project="p", verdicts=(Verdict(policy=value, effect=Effect.DENY, message=message, address=address),)
    )
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(plan_markdown(plan))
    inline = [child for t in tokens for child in t.children or ()]
    allowed = (
        "<details>",
        "</details>",
        "<summary>",
        "<sub>",
        "</sub>",
        "<code>",
        "</code>",
        "<b>",
        "</b>",
        "<!--",
        "<details><summary>",
    )
    for token in [*tokens, *inline]:
        assert token.type not in ("link_open", "image"), token
        if token.type in ("html_inline", "html_block"):
            assert token.content.lstrip().startswith(allowed), token.content
    html = rendered(plan_markdown(plan))
    assert "\x1b" not in html and "\u202e" not in html
    assert unescape(html).count("will be destroyed") >= 1


def test_a_plan_without_changes_is_short() -> None:
    text = plan_markdown(Plan(project="p", environment="dev"))
    assert "No changes. Your infrastructure matches the configuration." in text.replace("\\", "") and len(text) < 400
