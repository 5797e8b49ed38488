"""Keys and secrets in AWS (moto), Google and Azure (servers that enforce the published interfaces), through the real command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from live.servers.moto_aws import CREDENTIALS, moto_server

pytestmark = [pytest.mark.live, pytest.mark.slow]
PLANTED = "planted-cloud-secret"
CLOUDS = ("aws", "gcp", "azure")


@dataclass(frozen=True)
class Keeper:
    """A cloud: the environment in which the command finds it, a key, a second one, a secret (JSON, with ``password``), and
    how to change that secret."""

    environment: dict[str, str]
    key: str
    other_key: str
    secret: str
    change: Callable[[str], None]


@pytest.fixture(params=CLOUDS)
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Keeper]:
    yield from {"aws": _aws, "gcp": _google, "azure": _azure}[request.param](tmp_path)


def _value(password: str) -> str:
    return json.dumps({"password": password, "user": "u"})


def _aws(_: Path) -> Iterator[Keeper]:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install 'mlinfra-iac[aws]'")
    with moto_server() as address:
        keys = boto3.client("kms", endpoint_url=address, region_name="us-east-1")
        secrets = boto3.client("secretsmanager", endpoint_url=address, region_name="us-east-1")
        arns = [keys.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
        name = secrets.create_secret(Name=f"prod/db-{arns[0][-6:]}", SecretString=_value(PLANTED))["Name"]
        yield Keeper(
            {**CREDENTIALS, "AWS_ENDPOINT_URL": address}, f"awskms:{arns[0]}", f"awskms:{arns[1]}", f"awssm:{name}",
            lambda text: secrets.put_secret_value(SecretId=name, SecretString=text),
        )  # fmt: skip


def _google(folder: Path) -> Iterator[Keeper]:
    pytest.importorskip("google.auth", reason="google-auth is not installed: pip install 'mlinfra-iac[gcp]'")
    pytest.importorskip("requests", reason="requests is not installed: pip install 'mlinfra-iac[gcp]'")
    from live.servers.google_keys import google_keys

    with google_keys() as google:
        names = [f"projects/p/locations/eu/keyRings/r/cryptoKeys/{k}" for k in ("one", "two")]
        google.keys.update({name: bytes([i + 1] * 32) for i, name in enumerate(names)})
        google.secrets["projects/p/secrets/db"] = ["old", _value(PLANTED)]
        yield Keeper(
            google.environment(folder), f"gcpkms:{names[0]}", f"gcpkms:{names[1]}", "gcpsm:projects/p/secrets/db/versions/latest",
            google.secrets["projects/p/secrets/db"].append,
        )  # fmt: skip


def _azure(folder: Path) -> Iterator[Keeper]:
    pytest.importorskip("azure.identity", reason="azure-identity is not installed: pip install 'mlinfra-iac[azure]'")
    from live.servers.azure_vault import azure_vault

    with azure_vault(folder) as vault:
        keys = [vault.make_key(name) for name in ("one", "two")]
        vault.secrets["db"] = _value(PLANTED)
        yield Keeper(
            vault.environment, f"azurekv:{keys[0]}", f"azurekv:{keys[1]}", f"azurekv:{vault.address}/secrets/db",
            lambda text: vault.secrets.update(db=text),
        )  # fmt: skip


def spec(keeper: Keeper, *, key: str = "", previous: str = "", whole: bool = True, extra: str = "1") -> str:
    settings: dict[str, Any] = {"key": key or keeper.key, "whole": whole}
    if previous:
        settings["previous"] = [previous]
    return f"""\
version: 1
project: shop
state: {{encryption: {json.dumps(settings)}}}
resources:
  login: {{kind: data, input: {{password: "${{secret('{keeper.secret}#password')}}", n: {extra}}}}}
  url: {{kind: data, input: "postgres://u:${{secret('{keeper.secret}#password')}}@h"}}
  user: {{kind: data, input: "${{login.output.password}}"}}
outputs:
  password: ${{login.output.password}}
"""


def written(folder: Path) -> bytes:
    return b"\n".join(p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "vault.key")


def test_a_state_under_a_cloud_key_with_a_secret_from_the_cloud(
    keeper: Keeper, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder(spec(keeper))
    said = []

    def run(*words: str, code: int = 0, **more: str) -> str:
        ran = run_mlinfra(words, folder, environment={**keeper.environment, **more})
        said.append(ran.text)
        assert ran.code == code, ran.text
        return str(ran.out)

    run("validate")
    run("plan", "--out", "saved.plan")
    run("apply", "saved.plan")
    run("plan", "--detailed-exitcode")
    assert "No changes" in run("plan", "--no-refresh", "--detailed-exitcode")
    assert PLANTED.encode() not in written(folder) and PLANTED not in "".join(said)
    envelope = json.loads((folder / ".mlinfra/state/shop/default/key.json").read_bytes())
    assert [e["source"] for e in envelope["keys"].values()] == [keeper.key]
    assert (folder / ".mlinfra/state/shop/default/state.json").read_bytes().startswith(b"mlinfra-encrypted")

    assert run("output", "password", "--raw").strip() == PLANTED  # the one place where somebody asks for it
    said.pop()

    keeper.change(_value("planted-changed"))
    assert "3 to change" in run("plan", "--detailed-exitcode", code=2)
    assert "No changes" in run("plan", "--no-refresh")
    (folder / "mlinfra.yaml").write_text(spec(keeper, key=keeper.other_key, previous=keeper.key))
    run("apply", "--yes")
    run("state", "rotate-key")
    (folder / "mlinfra.yaml").write_text(spec(keeper, key=keeper.other_key))
    assert "No changes" in run("plan", "--detailed-exitcode")
    (folder / "mlinfra.yaml").write_text(spec(keeper))
    assert "previous" in run_mlinfra(["plan"], folder, environment=keeper.environment).text
    (folder / "mlinfra.yaml").write_text(spec(keeper, key=keeper.other_key))
    assert b"planted-" not in written(folder) and "planted-" not in "".join(said)
    run("destroy", "--yes")


def test_a_saved_plan_is_stale_when_its_secret_has_changed(
    keeper: Keeper, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder(spec(keeper))
    assert run_mlinfra(["plan", "--out", "saved.plan"], folder, environment=keeper.environment).code == 0
    keeper.change(_value("planted-changed"))
    ran = run_mlinfra(["apply", "saved.plan"], folder, environment=keeper.environment)
    assert ran.code == 5 and f"{keeper.secret}#password has changed since the plan" in ran.text.replace("\n", " ").replace(
        "  ", ""
    )
    assert "planted" not in ran.text


def test_what_cannot_be_had_is_said_with_its_place_and_nothing_is_begun(
    keeper: Keeper, run_mlinfra: Callable[..., Any], spec_folder: Callable[..., Path]
) -> None:
    folder = spec_folder(spec(keeper).replace("#password", "#passwort"))
    ran = run_mlinfra(["apply", "--yes"], folder, environment=keeper.environment)
    assert ran.code == 1 and "secret.unavailable" in ran.text and "mlinfra.yaml:5:" in ran.text and "'passwort'" in ran.text
    assert "planted" not in ran.text and "user" not in ran.text.partition("mlinfra.yaml")[0]
    assert not list(folder.rglob("journal"))
