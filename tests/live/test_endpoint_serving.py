"""Endpoints on local, with real serving processes, real MLflow models, and clients that never stop asking."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from serving_clients import ask, load, share, until
from serving_models import save_model

from mlinfra.model.resource import Desired, Observed, ResourceState
from mlinfra.model.values import Map, Secret, freeze
from mlinfra.provider import files
from mlinfra.provider.contract import ProviderContext
from mlinfra.provider.failures import AlreadyExists, Failure, Invalid, Quota
from mlinfra_local import services
from mlinfra_local.client import LocalClient
from mlinfra_local.ports import is_free
from mlinfra_local.resources.endpoint import Endpoint
from mlinfra_local.serving import admin
from mlinfra_local.settings import LocalConfig

pytestmark = [pytest.mark.live, pytest.mark.anyio]
TOKEN = "0123456789abcdef" * 2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[LocalClient]:
    for name in ("one", "two", "three", "broken", "environment", "waits"):
        save_model(tmp_path / "models" / name, name)
    context = ProviderContext(project="p", environment="dev", base=tmp_path, data=tmp_path / ".mlinfra" / "local")
    client = LocalClient(LocalConfig(), context)
    yield client
    services.stop(client.folder("endpoints", "api"), timeout=1)


def variant(client: LocalClient, model: str, traffic: int = 100, shadow: bool = False) -> dict[str, Any]:
    uri = f"models/{model}"
    return {"model": {"uri": uri, "digest": files.digest(client.base, uri).digest}, "traffic": traffic, "shadow": shadow}


def wanted(variants: dict[str, Any], **more: Any) -> Desired:
    settings = {"sticky": "", "health": {"path": "/ping", "timeout": 60.0}, "replicas": {"min": 1, "max": 2}, "resources": {}}
    return Desired(
        address="api", type="local.endpoint", attributes=freeze({"name": "api", "variants": variants, **settings, **more})
    )


def state(observed: Observed) -> ResourceState:
    return ResourceState(address="api", type="local.endpoint", provider="local", id=observed.id, attributes=observed.attributes)


async def test_traffic_splits_by_weight_and_a_request_may_name_its_variant(client: LocalClient) -> None:
    made = await Endpoint().create(
        client, wanted({"champion": variant(client, "one", 90), "challenger": variant(client, "two", 10)}), TOKEN
    )
    url = made.attributes["url"]
    assert made.attributes["status"] == "running"
    assert await share(url, 200) == {"champion": 180, "challenger": 20}
    named = await ask(url, **{"x-mlinfra-variant": "challenger"})
    assert (named.headers["x-mlinfra-variant"], named.json()) == ("challenger", {"predictions": ["two"]})
    unknown = await ask(url, **{"x-mlinfra-variant": "nobody"})
    assert (unknown.status_code, unknown.json()["error_code"]) == (400, "BAD_REQUEST")
    assert await Endpoint().read(client, state(made)) == made


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        ('{"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}}', "application/json"),
        ('{"dataframe_records": [{"a": 1}, {"a": 2}]}', "application/json"),
        ('{"instances": [1, 2]}', "application/json"),
        ('{"inputs": [[1], [2]]}', "application/json"),
        ("a\n1\n2\n", "text/csv"),
    ],
)
async def test_every_scoring_format_of_mlflow_is_understood(served: str, content: str, content_type: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(f"{served}/invocations", content=content, headers={"content-type": content_type})
    assert (reply.status_code, reply.json()) == (200, {"predictions": ["one", "one"]})


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        ("{nope", "application/json", 400),
        ("[1, 2]", "application/json", 400),
        ('{"rows": [1]}', "application/json", 400),
        ('{"dataframe_records": [{"boom": 1}]}', "application/json", 400),
        (b"\xff\xfe", "text/csv", 400),
        ("<a/>", "text/xml", 415),
    ],
)
async def test_a_bad_request_gets_a_json_error_and_no_traceback(
    served: str, content: str | bytes, content_type: str, status: int
) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.post(f"{served}/invocations", content=content, headers={"content-type": content_type})
    assert reply.status_code == status
    assert set(reply.json()) == {"error_code", "message"}
    assert "Traceback" not in reply.text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an endpoint that several tests ask; its model answers ``one``."""
    base = tmp_path_factory.mktemp("served")
    save_model(base / "models" / "one", "one")
    client = LocalClient(LocalConfig(), ProviderContext(project="p", environment="dev", base=base, data=base / "data"))
    made = asyncio.run(Endpoint().create(client, wanted({"only": variant(client, "one")}), TOKEN))
    yield str(made.attributes["url"])
    asyncio.run(Endpoint().delete(client, state(made)))


async def test_weights_change_under_load_without_a_failed_request_and_in_the_same_process(client: LocalClient) -> None:
    champion, challenger = variant(client, "one", 90), variant(client, "two", 10)
    made = await Endpoint().create(client, wanted({"champion": champion, "challenger": challenger}), TOKEN)
    before = services.status(client.folder("endpoints", "api"))
    async with load(made.attributes["url"]):
        even = wanted({"champion": {**champion, "traffic": 50}, "challenger": {**challenger, "traffic": 50}})
        changed = await Endpoint().update(client, state(made), even)
    assert services.status(client.folder("endpoints", "api")) == before
    assert changed.attributes["variants"]["champion"]["traffic"] == 50
    assert changed.attributes["url"] == made.attributes["url"]
    assert await share(made.attributes["url"], 100) == {"champion": 50, "challenger": 50}


async def test_models_roll_and_variants_come_and_go_under_load_without_a_failed_request(client: LocalClient) -> None:
    made = await Endpoint().create(client, wanted({"champion": variant(client, "one")}), TOKEN)
    async with load(made.attributes["url"]) as clients:
        both = wanted({"champion": variant(client, "two", 50), "challenger": variant(client, "three", 50)})
        changed = await Endpoint().update(client, state(made), both)
        await clients.sees(lambda: {("champion", "two"), ("challenger", "three")} <= set(clients.replies))
        await Endpoint().update(client, state(changed), wanted({"challenger": variant(client, "three")}))
    assert ("champion", "one") in clients.replies
    assert await share(made.attributes["url"], 20) == {"challenger": 20}
    copies = client.folder("endpoints", "api") / "models" / "copies"
    assert len({p.stem for p in copies.iterdir()}) == 1  # the copy, and its manifest beside it


async def test_a_model_that_does_not_load_leaves_what_is_served_and_says_why(client: LocalClient) -> None:
    made = await Endpoint().create(client, wanted({"champion": variant(client, "one")}), TOKEN)
    async with load(made.attributes["url"]):
        with pytest.raises(Invalid, match="broken on purpose; what was served before is still served"):
            await Endpoint().update(client, state(made), wanted({"champion": variant(client, "broken")}))
    assert await Endpoint().read(client, state(made)) == made


async def test_an_endpoint_that_cannot_start_says_why_and_leaves_nothing(client: LocalClient) -> None:
    with pytest.raises(Invalid, match=r"variant champion .* RuntimeError: this model is broken on purpose") as caught:
        await Endpoint().create(client, wanted({"champion": variant(client, "broken")}), TOKEN)
    assert "Traceback" not in caught.value.message
    folder = client.folder("endpoints", "api")
    assert not folder.exists()
    assert services.find_strays(folder) == []


async def test_a_killed_process_is_seen_and_started_again_at_its_url(client: LocalClient) -> None:
    champion = wanted({"champion": variant(client, "one")})
    made = await Endpoint().create(client, champion, TOKEN)
    live = services.status(client.folder("endpoints", "api"))
    assert live is not None
    process = psutil.Process(live.pid)
    process.kill()
    await asyncio.to_thread(psutil.wait_procs, [process], 30)  # on a busy machine a killed process lingers
    seen = await Endpoint().read(client, state(made))
    assert seen is not None
    assert seen.attributes == {**made.attributes, "status": "stopped"}
    assert await Endpoint().update(client, state(seen), champion) == made
    assert (await ask(made.attributes["url"])).json() == {"predictions": ["one"]}


async def test_a_process_that_hangs_is_seen_and_replaced(client: LocalClient, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = wanted({"champion": variant(client, "one")})
    made = await Endpoint().create(client, champion, TOKEN)
    live = services.status(client.folder("endpoints", "api"))
    assert live is not None
    os.kill(live.pid, signal.SIGSTOP)
    monkeypatch.setattr("mlinfra_local.resources.endpoint._DRAIN", 0.1)
    monkeypatch.setattr("mlinfra_local.serving.admin._PATIENCE", 0.3)
    seen = await Endpoint().read(client, state(made))
    assert seen is not None
    assert seen.attributes["status"] == "unresponsive"
    assert await Endpoint().update(client, state(seen), champion) == made


async def test_what_is_served_is_what_is_read_even_when_somebody_else_changed_it(client: LocalClient) -> None:
    made = await Endpoint().create(
        client, wanted({"champion": variant(client, "one", 90), "challenger": variant(client, "two", 10)}), TOKEN
    )
    folder = client.folder("endpoints", "api")
    live = services.status(folder)
    assert live is not None
    config = admin.live_config(folder, live.port)
    assert config is not None
    swapped = {name: replace(v, traffic=100 - v.traffic) for name, v in config.variants.items()}
    admin.reload(folder, live.port, replace(config, variants=swapped), {}, timeout=30)
    seen = await Endpoint().read(client, state(made))
    assert seen is not None
    assert {n: v["traffic"] for n, v in seen.attributes["variants"].items()} == {"champion": 10, "challenger": 90}


async def test_after_a_crash_the_endpoint_is_found_by_its_operation_only(client: LocalClient) -> None:
    champion = wanted({"champion": variant(client, "one")})
    made = await Endpoint().create(client, champion, TOKEN)
    assert await Endpoint().find(client, champion, TOKEN) == made
    assert await Endpoint().find(client, champion, "f" * 32) is None
    with pytest.raises(AlreadyExists):
        await Endpoint().create(client, champion, "f" * 32)
    assert (await ask(made.attributes["url"])).status_code == 200


async def test_a_create_killed_while_the_models_load_is_found_and_leaves_one_process(client: LocalClient) -> None:
    champion = wanted({"champion": variant(client, "one")})
    script = (
        "import asyncio, sys, pathlib\n"
        "from mlinfra.model.resource import Desired\nfrom mlinfra.model.values import freeze\n"
        "from mlinfra.provider.contract import ProviderContext\n"
        "from mlinfra_local.client import LocalClient\nfrom mlinfra_local.settings import LocalConfig\n"
        "from mlinfra_local.resources.endpoint import Endpoint\nimport json\n"
        "base = pathlib.Path(sys.argv[1])\n"
        "context = ProviderContext(project='p', environment='dev', base=base, data=base / '.mlinfra' / 'local')\n"
        "desired = Desired(address='api', type='local.endpoint', attributes=freeze(json.loads(sys.argv[2])))\n"
        f"asyncio.run(Endpoint().create(LocalClient(LocalConfig(), context), desired, '{TOKEN}'))\n"
    )
    command = [sys.executable, "-c", script, str(client.base), json.dumps(champion.attributes)]
    creating = await asyncio.create_subprocess_exec(*command)
    folder = client.folder("endpoints", "api")
    while not (folder / "service.json").exists():
        assert creating.returncode is None
        await asyncio.sleep(0.01)
    creating.kill()
    await creating.wait()
    found = await Endpoint().find(client, champion, TOKEN)
    assert found is not None
    settled = await Endpoint().update(client, state(found), champion)
    assert settled.attributes["status"] == "running"
    assert services.find_strays(folder) == []
    assert (await ask(settled.attributes["url"])).json() == {"predictions": ["one"]}


async def test_deleting_twice_leaves_no_process_and_no_file(client: LocalClient) -> None:
    made = await Endpoint().create(client, wanted({"champion": variant(client, "one")}), TOKEN)
    folder = client.folder("endpoints", "api")
    live = services.status(folder)
    assert live is not None
    await Endpoint().delete(client, state(made))
    await Endpoint().delete(client, state(made))
    assert not folder.exists()
    assert not psutil.pid_exists(live.pid)
    assert await Endpoint().read(client, state(made)) is None


async def test_a_request_in_flight_is_answered_by_its_own_model_through_a_roll_and_through_the_end(client: LocalClient) -> None:
    gate = client.base / "gate"
    slow = wanted({"champion": variant(client, "waits")}, env={"GATE": str(gate)})
    made = await Endpoint().create(client, slow, TOKEN)
    url = made.attributes["url"]

    first = asyncio.create_task(ask(url))
    flying = 'mlinfra_requests_in_flight{variant="champion"} 1.0'
    await until(lambda: flying in httpx.get(f"{url}/metrics", trust_env=False).text)
    await Endpoint().update(client, state(made), wanted({"champion": variant(client, "one")}, env={"GATE": str(gate)}))
    assert (await ask(url)).json() == {"predictions": ["one"]}
    ending = asyncio.create_task(Endpoint().delete(client, state(made)))
    live = services.status(client.folder("endpoints", "api"))
    assert live is not None
    await until(lambda: is_free(live.port))
    gate.touch()
    assert (await first).json() == {"predictions": ["waits"]}
    await ending
    assert not psutil.pid_exists(live.pid)


async def test_a_shadow_sees_its_share_and_never_answers(client: LocalClient) -> None:
    variants = {"champion": variant(client, "one"), "trial": variant(client, "two", 50, shadow=True)}
    made = await Endpoint().create(client, wanted(variants), TOKEN)
    url = made.attributes["url"]
    assert await share(url, 40) == {"champion": 40}

    def metrics() -> str:
        return httpx.get(f"{url}/metrics", trust_env=False).text

    await until(lambda: 'mlinfra_requests_total{shadow="true",status="200",variant="trial"} 20.0' in metrics(), metrics)
    text = metrics()
    assert 'mlinfra_requests_total{shadow="false",status="200",variant="champion"} 40.0' in text
    assert 'mlinfra_latency_seconds_count{shadow="true",variant="trial"} 20.0' in text
    assert (await ask(url, {"dataframe_records": [{"boom": 1}]})).status_code == 400
    assert 'mlinfra_errors_total{shadow="false",variant="champion"} 1.0' in metrics()


async def test_sticky_requests_keep_their_variant_and_many_keys_follow_the_weights(client: LocalClient) -> None:
    variants = {"champion": variant(client, "one", 50), "challenger": variant(client, "two", 50)}
    made = await Endpoint().create(client, wanted(variants, sticky="x-user"), TOKEN)
    url = made.attributes["url"]
    assert len(await share(url, 20, lambda _: {"x-user": "ann"})) == 1
    spread = await share(url, 200, lambda i: {"x-user": f"user-{i}"})
    assert spread["champion"] > 60
    assert spread["challenger"] > 60


async def test_the_environment_changes_in_place_and_its_secrets_stand_in_no_file(client: LocalClient) -> None:
    variants = {"champion": variant(client, "environment")}

    def greeting(text: str) -> Desired:
        desired = wanted(variants)
        attributes = Map({**desired.attributes, "env": Map({"GREETING": Secret(text)})})
        return Desired(address="api", type="local.endpoint", attributes=attributes)

    made = await Endpoint().create(client, greeting("planted-hello"), TOKEN)
    url = made.attributes["url"]
    assert "env" not in made.attributes
    assert (await ask(url)).json() == {"predictions": ["planted-hello"]}
    async with load(url):
        await Endpoint().update(client, state(made), greeting("planted-bye"))
    assert (await ask(url)).json() == {"predictions": ["planted-bye"]}
    await Endpoint().update(client, state(made), wanted(variants))
    assert (await ask(url)).json() == {"predictions": [""]}
    written = b"".join(p.read_bytes() for p in client.base.rglob("*") if p.is_file())
    assert b"planted-" not in written


async def test_the_health_path_is_answered_and_the_admin_routes_are_closed(client: LocalClient) -> None:
    made = await Endpoint().create(
        client, wanted({"champion": variant(client, "one")}, health={"path": "/healthz", "timeout": 60.0}), TOKEN
    )
    async with httpx.AsyncClient(trust_env=False, base_url=made.attributes["url"]) as http:
        answers = {path: (await http.get(path)).status_code for path in ("/ping", "/healthz", "/nowhere", "/-/config")}
        assert answers == {"/ping": 200, "/healthz": 200, "/nowhere": 404, "/-/config": 403}
        assert (await http.post("/-/reload", json={})).status_code == 403
    token = client.folder("endpoints", "api") / "admin.token"
    assert token.stat().st_mode & 0o777 == 0o600


async def test_more_than_the_machine_has_is_refused_before_anything_is_made(client: LocalClient) -> None:
    for resources in ({"cpus": 4096.0}, {"memory": 10**15}, {"accelerators": "H100:64"}):
        with pytest.raises(Quota):
            await Endpoint().create(client, wanted({"champion": variant(client, "one")}, resources=resources), TOKEN)
    assert not client.folder("endpoints", "api").exists()


async def test_a_model_folder_that_is_not_there_is_refused(client: LocalClient) -> None:
    gone = {"model": {"uri": "local://runs/fit/outputs/abc/model"}, "traffic": 100, "shadow": False}
    with pytest.raises(Failure, match="does not exist"):
        await Endpoint().create(client, wanted({"champion": gone}), TOKEN)
