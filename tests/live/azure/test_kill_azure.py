"""The command killed after each request that changes something, before it hears the answer: nothing is orphaned, nothing made twice. A
container's mark lies in its metadata, a grant's in its description, a subnet's and a policy's in the tags of what they lie in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from fakes.azure import Azure, azure
from fakes.azure.server import Request

pytest.importorskip("azure.identity", reason="azure-identity is not installed")
pytestmark = [pytest.mark.live, pytest.mark.slow]

RESOURCES = {
    "group": {"kind": "azure.resource_group", "properties": {"name": "mlinfra-kills-azure"}},
    "store": {"kind": "azure.storage_account", "properties": {"name": "killed", "kind": "StorageV2"}, "sku": {"name": "Standard_LRS"},
              "parent": "${group.id}"},
    "raw": {"kind": "azure.storage_container", "properties": {"name": "raw"}, "parent": "${store.id}"},
    "versions": {"kind": "azure.blob_service", "parent": "${store.id}", "isVersioningEnabled": True},
    "grant": {"kind": "azure.role_assignment", "scope": "${store.id}", "principalId": "9f8b", "roleDefinitionId": "Reader"},
    "net": {"kind": "azure.virtual_network", "properties": {"name": "net"}, "parent": "${group.id}",
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}},
    "vms": {"kind": "azure.subnet", "properties": {"name": "vms"}, "parent": "${net.id}", "addressPrefix": "10.0.0.0/24"},
}  # fmt: skip


def test_killed_after_every_request_nothing_is_orphaned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    with azure(tmp_path / "azure") as state:
        for name, value in state.environment.items():
            monkeypatch.setenv(name, value)
        environment = {"target": "azure", "providers": {"azure": {**state.settings(), "purge": True}}}
        spec = {"version": 1, "project": "kills", "environments": {"azure": environment}, "resources": RESOURCES}
        (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec))

        assert until_done(state, folder, "apply") >= 5  # what is under way together is cut off together
        kinds = Counter(id.rpartition("/")[0].rpartition("/")[2] for id in state.everything())
        assert set(kinds.values()) == {1} and len(kinds) == len(RESOURCES) - 1, "something was made twice, or is missing"
        assert command(folder, "plan", "--detailed-exitcode").wait() == 0

        assert command(folder, "destroy", "--yes").wait() == 0
        assert state.everything() == []
        assert state.invalid == []


def until_done(state: Azure, folder: Path, action: str) -> int:
    """Run the action, killed after each request that changes something, once at each, until nothing is left to send."""
    kills = 0
    cut: set[tuple[str, str]] = set()
    while True:
        process = command(folder, action, "--yes")

        def kill(request: Request, victim: subprocess.Popen[bytes] = process) -> None:
            if request.http != "GET" and (request.http, request.path) not in cut:
                cut.add((request.http, request.path))
                os.kill(victim.pid, signal.SIGKILL)

        state.after_answer = kill
        code = process.wait(timeout=300)
        state.after_answer = lambda _request: None
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, f"ended with {code}"
        kills += 1
        assert kills < 60


def command(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "mlinfra", *words, "--env", "azure"], cwd=folder, stdout=subprocess.DEVNULL)
