"""Terraform's spellings, and options before the command."""

from __future__ import annotations

import pytest

from mlinfra.cli.arguments import normalise


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("apply -auto-approve", "apply --yes"),
        ("apply --auto-approve=true", "apply --yes"),
        ("apply -auto-approve=false", "apply"),
        ("plan -out=p.plan", "plan --out p.plan"),
        ("plan -out p.plan", "plan --out p.plan"),
        ("plan -target=a -target b", "plan --target a --target b"),
        ("plan -var k=v", "plan --var k=v"),
        ("plan -var=k=v=w", "plan --var k=v=w"),
        ("plan -var-file=x.yaml", "plan --var-file x.yaml"),
        ("plan -destroy -refresh-only", "plan --destroy --refresh-only"),
        ("plan -refresh=false", "plan --no-refresh"),
        ("plan -refresh=true", "plan"),
        ("plan -replace=a -json -no-color", "plan --replace a --json --no-color"),
        ("plan -detailed-exitcode", "plan --detailed-exitcode"),
        ("apply -parallelism=3 -lock-timeout=30s", "apply --parallelism 3 --lock-timeout 30s"),
        ("plan -input=false", "plan"),
        ("-chdir=infra plan", "plan -C infra"),
        ("-Cinfra plan", "plan -C infra"),
        ("plan -h", "plan --help"),
        ("force-unlock abc", "state unlock abc"),
        ("taint raw", "state taint raw"),
        ("state untaint raw", "state untaint raw"),
        ("--env prod plan --json", "plan --env prod --json"),
        ("--json state --env prod list raw", "state list --json --env prod raw"),
        ("plan --env=prod", "plan --env prod"),
    ],
)
def test_what_people_type_becomes_what_click_knows(typed: str, meant: str) -> None:
    assert list(normalise(typed.split()).words) == meant.split()


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert normalise(["import", "raw", "--", "-out=x"]).words == ("import", "raw", "--", "-out=x")


def test_an_unknown_option_is_left_for_click_to_refuse() -> None:
    assert normalise(["plan", "-lock=false"]).words == ("plan", "-lock=false")


def test_a_value_that_looks_like_an_option_stays_a_value() -> None:
    assert normalise(["plan", "--out", "-json"]).words == ("plan", "--out", "-json")
    assert not normalise(["plan", "--out", "-json"]).json


def test_error_messages_know_the_folder_and_the_form_before_click_has_read_anything() -> None:
    found = normalise(["-chdir=infra", "plan", "-json", "-no-color", "--debug"])
    assert (found.directory, found.json, found.no_color, found.debug) == ("infra", True, True, True)
