"""A Google of the test's own, and the command at work on a spec that uses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.google import Google, google
from live.gcp.world import environment_of

from mlinfra.cli.app import run


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with google(tmp_path / "google") as found:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(found.credentials(tmp_path)))
        yield found


@dataclass
class Stack:
    """A folder with a spec for this Google. ``settings`` are the provider's beside those that reach it."""

    folder: Path
    state: Google
    capture: pytest.CaptureFixture[str]

    def write(self, resources: dict[str, Any], **settings: Any) -> None:
        environments = {"gcp": environment_of(self.state, **settings)}
        spec = {"version": 1, "project": "stack", "environments": environments, "resources": resources}
        (self.folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))

    def run(self, *words: str, code: int = 0) -> str:
        """What the command says, in one line, once it has ended with ``code``. It runs in this process."""
        self.state.requests.clear()
        found = run([*words, "--env", "gcp", "-C", str(self.folder), "--no-color"])
        said = self.capture.readouterr()
        assert found == code, said.out + said.err
        assert "Traceback" not in said.err
        return " ".join((said.out + said.err).split())

    def line_of(self, text: str) -> int:
        lines = (self.folder / "mlinfra.yaml").read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.fixture
def stack(tmp_path: Path, state: Google, capsys: pytest.CaptureFixture[str]) -> Stack:
    folder = tmp_path / "stack"
    folder.mkdir()
    return Stack(folder, state, capsys)
