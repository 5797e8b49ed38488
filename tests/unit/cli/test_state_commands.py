"""`state push`, `state doctor`, `state unlock` and a `state rm` of what never reported back, as a person runs them."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from mlinfra.cli.app import run
from mlinfra.model.resource import ResourceState
from mlinfra.model.values import Map
from mlinfra.state.entries import Intent
from mlinfra.state.lock import Lease
from mlinfra.state.session import Location, open_session
from mlinfra.state.stores.local import LocalStore

SPEC = """\
version: 1
project: shop
resources:
  raw: {kind: bucket}
  one: {kind: data, input: "${raw.uri}"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLINFRA_ENV", raising=False)
    (tmp_path / "mlinfra.yaml").write_text(SPEC)
    assert run(["apply", "--yes", "-C", str(tmp_path)]) == 0
    return tmp_path


def at(folder: Path) -> Location:
    return Location(LocalStore(folder / ".mlinfra/state"), "shop/default/")


def called(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([*words, "-C", str(folder)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_push_takes_what_pull_printed_and_refuses_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, text, _ = called(capsys, folder, "state", "pull")
    file = folder / "pulled.json"
    file.write_text(text)
    code, out, _ = called(capsys, folder, "state", "push", str(file))
    assert (code, out) == (0, f"{file} is what is recorded already.\n")
    tree = json.loads(text)
    file.write_text(json.dumps({**tree, "lineage": "foreign"}))
    code, _, err = called(capsys, folder, "state", "push", str(file))
    assert code == 1 and "another state" in err and "--force" in err
    file.write_text(json.dumps({**tree, "resources": [r for r in tree["resources"] if r["address"] == "raw"]}))
    assert called(capsys, folder, "state", "push", str(file))[0] == 0
    assert set(at(folder).read().freeze().current()) == {"raw"}
    file.write_text(text)
    code, _, err = called(capsys, folder, "state", "push", str(file))
    assert code == 1 and "older than the recorded one" in err
    assert called(capsys, folder, "state", "push", "-force", str(file))[0] == 0
    assert set(at(folder).read().freeze().current()) == {"raw", "one"}
    code, _, err = called(capsys, folder, "state", "push", str(folder / "nothing.json"))
    assert code == 1 and "cannot be read" in err


def test_doctor_finds_mends_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, folder, "state", "doctor")[:2] == (0, "The state is sound.\n")
    number = at(folder).reading().position + 1
    torn = folder / f".mlinfra/state/shop/default/journal/{number:012d}"
    torn.write_bytes(b'{"format"')
    code, out, _ = called(capsys, folder, "state", "doctor")
    assert code == 1 and "problem: " in out and "was torn by a crash" in out and "--repair does what is safe" in out
    code, out, _ = called(capsys, folder, "state", "doctor", "--repair")
    assert code == 0 and "mended: " in out and "note: " in out
    code, out, _ = called(capsys, folder, "state", "doctor", "--json")
    assert code == 0 and [f["code"] for f in json.loads(out)["findings"]] == ["state.set_aside"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_unlock_asks_on_a_terminal(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    lease = Lease(id="abc123", owner="ci", host="runner", machine="another", pid=1, operation="apply", expires=9e9, epoch=50)
    (folder / ".mlinfra/state/shop/default/lock.json").write_text(json.dumps(asdict(lease)))
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    code, out, _ = called(capsys, folder, "state", "unlock", "abc123")
    assert code == 1 and "Nothing was done." in out and at(folder).holder() == lease
    monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
    code, out, _ = called(capsys, folder, "state", "unlock", "abc123")
    assert code == 0 and "ci@runner" in out and at(folder).holder() is None
    (folder / ".mlinfra/state/shop/default/lock.json").write_text(json.dumps(asdict(lease)))
    monkeypatch.setattr("sys.stdin", Terminal(""))
    assert called(capsys, folder, "state", "unlock", "abc123", "--yes")[0] == 0


def test_rm_settles_what_never_reported_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = ResourceState(address="ghost", type="local.nonesuch", provider="local", id="", attributes=Map({"name": "ghost"}))

    async def crash() -> None:
        session = await asyncio.to_thread(open_session, at(folder), "apply")
        await session.append(Intent(op="f" * 32, operation="create", address="ghost", resource=lost))
        await session.close()

    asyncio.run(crash())
    code, out, err = called(capsys, folder, "plan")
    said = " ".join((out + err).split())
    assert code == 0 and "looked for the local.nonesuch 'ghost'" in said and "f" * 32 in said
    assert called(capsys, folder, "state", "doctor")[0] == 1
    assert called(capsys, folder, "apply", "--yes")[0] == 1, "it is no success while that is open"
    code, out, _ = called(capsys, folder, "state", "rm", "ghost")
    assert (code, out) == (0, "Forgot ghost.\n")
    assert called(capsys, folder, "plan", "--detailed-exitcode")[0] == 0
    assert called(capsys, folder, "state", "doctor")[0] == 0


def test_what_is_tainted_is_replaced_and_what_is_untainted_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = called(capsys, folder, "taint", "raw")
    assert (code, out) == (0, "raw is tainted: the next apply replaces it.\n")
    assert "Nothing to do: all of it is tainted already." in called(capsys, folder, "state", "taint", "raw")[1]
    planned = called(capsys, folder, "plan")[1]
    assert "  # raw is tainted, so must be replaced\n-/+ local.bucket: it was left half-made, or marked" in planned
    code, out, _ = called(capsys, folder, "untaint", "raw")
    assert (code, out) == (0, "raw is not tainted any more.\n")
    assert "No changes." in called(capsys, folder, "plan")[1]
    code, _, err = called(capsys, folder, "taint", "rwa")
    assert code == 1 and "rwa is not recorded" in err and "mlinfra state list" in err


def test_help_tells_every_command_of_the_family_in_a_whole_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run(["state", "--help"]) == 0
    text = capsys.readouterr().out
    assert "..." not in text.partition("Commands:")[2] and "Mark ADDRESSES as damaged: the next apply replaces them" in " ".join(
        text.split()
    ), text


def test_terraforms_command_that_has_another_name_here_is_pointed_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["workspace", "list"]) == 1
    assert "--env NAME" in capsys.readouterr().err
