"""A secret reaches the provider and nothing that is written."""

from __future__ import annotations

from pathlib import Path

from fakes.lab import Lab, thing

from mlinfra.model.values import Secret, SecretDigest

PLANTED = "hunter2-planted-secret"


def everything_written(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())


def test_a_secret_is_given_to_the_provider_and_kept_as_a_digest(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", password=Secret(PLANTED), value={"inner": Secret(PLANTED)}))
    assert lab.cloud.named("a").attributes["password"] == PLANTED  # type: ignore[union-attr]
    recorded = lab.state.get("a").attributes  # type: ignore[union-attr]
    assert isinstance(recorded["password"], SecretDigest) and isinstance(recorded["value"]["inner"], SecretDigest)
    assert PLANTED.encode() not in everything_written(tmp_path)
    assert PLANTED not in repr(lab.events) + repr(lab.state)


def test_the_same_secret_is_no_change_and_another_one_is(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a", password=Secret(PLANTED), value={"inner": Secret(PLANTED)}))
    made = lab.plan(thing("a", password=Secret(PLANTED), value={"inner": Secret(PLANTED)}))
    assert made.plan.is_empty and not made.plan.drift
    changed = lab.plan(thing("a", password=Secret("another"), value={"inner": Secret(PLANTED)}))
    assert [(a.path, a.sensitive) for a in changed.plan.changes[0].attributes] == [(("password",), True)]
    assert PLANTED not in repr(changed.plan) and "another" not in repr(changed.plan)


def test_a_secret_output_is_kept_as_a_digest(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    outcome = lab.run(thing("a"), outputs={"key": Secret(PLANTED)})
    assert outcome.outputs["key"] == Secret(PLANTED)
    assert isinstance(lab.state.outputs["key"], SecretDigest) and lab.state.sensitive_outputs == ("key",)
    assert lab.plan(thing("a"), outputs={"key": Secret(PLANTED)}).plan.is_empty


def test_what_is_written_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.run(thing("a"))
    modes = {p.stat().st_mode & 0o077 for p in (tmp_path / "state").rglob("*") if p.is_file()}
    assert modes == {0}
