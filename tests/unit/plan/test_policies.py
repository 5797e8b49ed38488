"""Rules over changes: what they see, that they refuse when they cannot be worked out, how they are borne."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.pull_request import SECRET, pull_request

from mlinfra.model.change import Action, Change
from mlinfra.model.cost import Cost
from mlinfra.model.errors import PolicyRefused, SpecError
from mlinfra.model.plan import Plan
from mlinfra.model.policy import CHANGE_FIELDS, Budget, Effect, Policy, Verdict
from mlinfra.model.values import UNKNOWN, Map, Secret, freeze
from mlinfra.plan.policies import Rules, change_facts, judge, refuse
from mlinfra.resolve.cel import check_rule
from mlinfra.resolve.cel_errors import ExpressionError
from mlinfra.resolve.policies import NAMES


def deny(rule: str, name: str = "p", effect: Effect = Effect.DENY) -> Policy:
    return Policy(name=name, effect=effect, rule=rule, message=f"{name} says no")


def broken_by(rule: str, plan: Plan | None = None) -> list[str]:
    return [v.address for v in judge(plan or pull_request(), Rules(policies=[deny(rule)]))]


SEEN = {
    'change.action == "replace"': ["tickets"],
    'change.kind == "bucket" && change.action == "delete"': ['scratch["old|notes"]'],
    'change.type.startsWith("aws.") && change.action == "create"': ["gpus", "gpus.template"],
    'change.risk.level == "destroys_data"': ["tickets", 'scratch["old|notes"]'],
    "change.risk.rank >= 2": ["api", "tickets", 'scratch["old|notes"]'],
    "change.cost.delta > 1000.0": ["gpus"],
    'env == "prod" && project == "tickets" && change.runs': ["features"],
    'change.tags.exists(k, k == "team")': ["gpus"],
    'has(change.after.MaxSize) && change.after.MaxSize > 2': ["gpus"],
    'change.before != {} && has(change.before.dim) && change.before.dim < change.after.dim': ["tickets"],
    'change.changed.exists(p, p.endsWith(".dim"))': ["tickets"],
    'change.moved_from != ""': ["notes"],
    'has(change.after.made)': [],
}  # fmt: skip


@pytest.mark.parametrize("rule", SEEN)
def test_what_a_rule_sees_of_a_change(rule: str) -> None:
    assert broken_by(rule) == SEEN[rule]


def test_what_does_not_change_is_not_judged() -> None:
    assert len(broken_by("true")) == 8 and broken_by("true", Plan()) == []


def test_secrets_and_what_is_not_known_are_out_of_sight() -> None:
    change = Change(
        action=Action.CREATE,
        address="a",
        type="t",
        provider="p",
        after=freeze({"k": Secret(SECRET), "u": UNKNOWN, "l": [UNKNOWN, 1]}),
    )
    assert change_facts(change)["after"] == {"k": "(sensitive)", "l": (1,)}
    verdicts = judge(Plan(changes=(change,)), Rules(policies=[deny(f'change.after.k == "{SECRET}"')]))
    assert verdicts == ()


def test_a_rule_that_cannot_be_worked_out_refuses_and_says_how_to_mend_it() -> None:
    (verdict,) = judge(
        replace(pull_request(), changes=pull_request().changes[-1:]), Rules(policies=[deny("change.after.nope == 1")])
    )
    assert verdict.refuses and "cannot be worked out" in verdict.message and "has(…)" in verdict.message
    (verdict,) = judge(replace(pull_request(), changes=pull_request().changes[-1:]), Rules(policies=[deny("change.address")]))
    assert verdict.refuses and "true or false is needed" in verdict.message


def test_tags_are_those_of_the_component_and_those_of_the_cloud() -> None:
    listed = Change(
        action=Action.CREATE,
        address="a",
        type="t",
        provider="p",
        component="a",
        after=freeze({"Tags": [{"Key": "team", "Value": "x"}, {"Key": 1}]}),
    )
    assert change_facts(listed, Map(owner="me"))["tags"] == {"team": "x", "owner": "me"}


def priced(before: float, after: float | None) -> Plan:
    change = Change(
        action=Action.UPDATE,
        address="a",
        type="t",
        provider="p",
        cost_before=Cost(monthly=before),
        cost_after=Cost(monthly=after),
    )
    return Plan(changes=(change,))


def test_the_budget_is_a_policy_and_what_makes_it_cheaper_passes() -> None:
    rules = Rules(budget=Budget(monthly=100))
    assert [v.policy for v in judge(priced(50, 101), rules)] == ["budget"]
    assert "101.00 USD a month; the budget is 100.00" in judge(priced(50, 101), rules)[0].message
    assert judge(priced(50, 100), rules) == judge(priced(500, 300), rules) == judge(Plan(), rules) == ()
    assert judge(priced(101, 101), rules)[0].refuses


def test_refusals_are_borne_by_name_and_reason_and_by_nothing_else() -> None:
    plan = pull_request(verdicts=())
    rules = Rules(policies=[deny("change.runs"), deny("change.runs", "other"), deny("change.runs", "w", Effect.WARN)])
    with pytest.raises(PolicyRefused) as caught:
        refuse(replace(plan, verdicts=judge(plan, rules)))
    assert caught.value.exit_code == 3 and len(caught.value.diagnostics) == 2
    assert '--override-policy p="why this once"' in caught.value.diagnostics[0].hint
    borne = judge(plan, replace(rules, overrides={"p": "INC-1", "other": "INC-2", "w": "no need"}))
    assert [v.reason for v in borne] == ["INC-1", "INC-2", ""] and not any(v.refuses for v in borne)
    refuse(replace(plan, verdicts=borne))
    with pytest.raises(SpecError, match="no policy 'nope'"):
        judge(plan, replace(rules, overrides={"nope": "x"}))


def test_a_verdict_without_a_reason_refuses_only_when_it_denies() -> None:
    assert Verdict(policy="p", effect=Effect.DENY, message="m").refuses
    assert not Verdict(policy="p", effect=Effect.WARN, message="m").refuses


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('change.riks.level == "safe"', "change has no 'riks'"),
        ("change.cost.monthly > 10.0", "change.cost has no 'monthly'"),
        ('!has(change.after.x) && change.risk.lvl == ""', "change.risk has no 'lvl'"),
    ],
)
def test_what_no_change_has_is_told_before_there_is_a_plan(rule: str, said: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        check_rule(rule, NAMES, CHANGE_FIELDS)
    assert refused.value.message == said and refused.value.hint


def test_rules_are_told_of_everything_that_a_change_has() -> None:
    facts = change_facts(pull_request().changes[0])
    assert tuple(facts) == CHANGE_FIELDS[("change",)]
    assert all(tuple(facts[name]) == CHANGE_FIELDS[("change", name)] for name in ("risk", "cost"))
    for rule in SEEN:
        check_rule(rule, NAMES, CHANGE_FIELDS)
