"""The command killed after each request that changes something, before it hears the answer: nothing is orphaned, nothing made twice. A
container's mark lies in its metadata, a grant's in its description, a subnet's and a policy's in the tags of what they lie in."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from fakes.azure import azure
from fakes.azure.server import Request
from live.killing import command, until_done

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

        seen: set[tuple[str, str]] = set()

        def first_of_a_change(request: Request) -> bool:
            known = request.http == "GET" or (request.http, request.path) in seen
            seen.add((request.http, request.path))
            return not known

        assert (
            until_done(state, folder, "azure", "apply", first_of_a_change, 300) >= 5
        )  # what is under way together is cut off together
        kinds = Counter(id.rpartition("/")[0].rpartition("/")[2] for id in state.everything())
        assert set(kinds.values()) == {1} and len(kinds) == len(RESOURCES) - 1, "something was made twice, or is missing"
        assert command(folder, "azure", "plan", "--detailed-exitcode").wait() == 0

        assert command(folder, "azure", "destroy", "--yes").wait() == 0
        assert state.everything() == []
        assert state.invalid == []
