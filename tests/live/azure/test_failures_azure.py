"""What goes wrong on Azure's side, as a person sees it: at the block's line, with Azure's code and request id, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes.azure import Azure, azure
from fakes.azure.server import SUBSCRIPTION, Refused
from fakes.entra import TENANT

pytest.importorskip("azure.identity", reason="azure-identity is not installed")
pytestmark = pytest.mark.live

VAULT = {
    "kind": "azure.key_vault",
    "properties": {"name": "acme-keys"},
    "tenantId": TENANT,
    "sku": {"family": "A", "name": "standard"},
}
PUT = "PUT Microsoft.KeyVault/vaults"
DENIED = "The client 'app' does not have authorization to perform action 'Microsoft.KeyVault/vaults/write' over scope '/subscriptions/s/x'."
G = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ml"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    with azure(tmp_path / "azure") as found:
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        found.have(G)
        yield found
        assert found.invalid == []


def apply(folder: Path, state: Azure, run: Callable[..., Any], block: Any, **settings: Any) -> Any:
    environment = {"target": "azure", "providers": {"azure": {**state.settings(), "resource_group": "ml", **settings}}}
    spec = {"version": 1, "project": "fails", "environments": {"azure": environment}, "resources": {"thing": block}}
    (folder / "mlinfra.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    done = run(["apply", "--yes", "--env", "azure"], folder)
    assert "Traceback" not in done.text
    return done


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refused(403, "AuthorizationFailed", DENIED),
         ("[provider.denied]", "AuthorizationFailed, request ", "a role that allows Microsoft.KeyVault/vaults/write")),
        (Refused(400, "OperationNotAllowed", "exceeding approved quota of vaults"), ("[provider.quota]", "QuotaMenuBlade")),
        (Refused(409, "ConflictError", "A vault with the same name already exists in deleted state."),
         ("az keyvault purge --name acme-keys", "purge: true")),
    ],
)  # fmt: skip
def test_a_refusal_is_told_at_its_line_with_azures_code_and_the_way_out(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any], refusal: Refused, said: tuple[str, ...]
) -> None:
    state.refusals[PUT] = [refusal]
    done = apply(tmp_path, state, run_mlinfra, VAULT)
    assert done.code == 1 and "mlinfra.yaml:" in done.err
    for words in said:
        assert words in done.err, done.text


def test_a_provider_that_is_not_registered_is_said_and_registered_where_the_settings_allow(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any]
) -> None:
    state.unregistered.add("Microsoft.KeyVault")
    done = apply(tmp_path, state, run_mlinfra, VAULT)
    assert done.code == 1 and "az provider register -n Microsoft.KeyVault --wait" in done.err, done.text
    assert apply(tmp_path, state, run_mlinfra, VAULT, register_providers=True).code == 0


def test_a_vault_that_was_deleted_holds_its_name_unless_it_was_purged(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any]
) -> None:
    assert apply(tmp_path, state, run_mlinfra, VAULT).code == 0
    assert run_mlinfra(["destroy", "--yes", "--env", "azure"], tmp_path).code == 0
    done = apply(tmp_path, state, run_mlinfra, VAULT, purge=True)
    assert done.code == 1 and "az keyvault recover --name acme-keys" in done.err, done.text
    state.deleted.clear()
    assert apply(tmp_path, state, run_mlinfra, VAULT, purge=True).code == 0
    assert run_mlinfra(["destroy", "--yes", "--env", "azure"], tmp_path).code == 0 and state.deleted == {}


def test_what_is_there_already_is_left_alone_and_can_be_imported(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any]
) -> None:
    id = f"{G}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs"
    state.have(id, tags={"team": "other"})
    block = {"kind": "azure.user_assigned_identity", "properties": {"name": "theirs"}}
    done = apply(tmp_path, state, run_mlinfra, block)
    assert done.code == 1 and f"mlinfra import thing {id}" in " ".join(done.err.split()), done.text
    assert state.at(id)["tags"] == {"team": "other"}


def test_an_operation_that_fails_at_last_leaves_nothing_behind_at_the_next_apply(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any]
) -> None:
    block = {"kind": "azure.disk", "properties": {"name": "data"}, "creationData": {"createOption": "Empty"}, "diskSizeGB": 8}
    state.failures["PUT Microsoft.Compute/disks"] = [{"code": "AllocationFailed", "message": "No room in this zone."}]
    state.busy = 2  # looks at an operation are throttled meanwhile
    done = apply(tmp_path, state, run_mlinfra, block)
    assert done.code == 1 and "No room in this zone." in done.err and "another size, zone or location" in done.err, done.text
    assert state.throttled == 2
    assert apply(tmp_path, state, run_mlinfra, block).code == 0
    assert (
        len(state.of("Microsoft.Compute/disks")) == 1
        and state.of("Microsoft.Compute/disks")[0]["properties"]["provisioningState"] == "Succeeded"
    )


def test_a_group_that_holds_what_others_made_is_not_deleted(
    tmp_path: Path, state: Azure, run_mlinfra: Callable[..., Any]
) -> None:
    assert apply(tmp_path, state, run_mlinfra, {"kind": "azure.resource_group", "properties": {"name": "ours"}}).code == 0
    state.have(
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/ours/providers/Microsoft.ManagedIdentity/userAssignedIdentities/theirs"
    )
    done = run_mlinfra(["destroy", "--yes", "--env", "azure"], tmp_path)
    assert done.code == 1 and "userAssignedIdentities/theirs" in done.err and "az resource list -g ours" in done.err, done.text
