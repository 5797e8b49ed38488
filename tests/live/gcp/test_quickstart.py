"""The quickstart's spec with ``target: gcp``: planned offline, applied, changed, drifted, imported, destroyed. Jobs run the real code, the
collection is filled in a real Milvus Lite, every request is held against Google's discovery documents."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live.gcp.world import google_world, with_environment

pytest.importorskip("googleapiclient", reason="google-api-python-client, which carries the discovery documents, is not installed")

EXAMPLE = Path(__file__).parents[3] / "examples" / "quickstart"
pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_the_same_spec_on_gcp(tmp_path: Path, run_mlinfra: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "quickstart"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    with google_world(tmp_path / "google") as google:
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.credentials(tmp_path)))
        with_environment(folder / "mlinfra.yaml", google)

        def mlinfra(*words: str, code: int = 0) -> str:
            done = run_mlinfra([*words, "--env", "gcp"], folder)
            assert done.code == code, done.text
            return str(done.out)

        offline = mlinfra("plan", "--no-refresh")
        assert "classifier.version[" in offline and google.requests == []

        applied = mlinfra("apply", "--yes")
        assert "Apply complete!" in applied
        assert float(mlinfra("output", "--raw", "accuracy")) >= 0.9
        mlinfra("plan", "--detailed-exitcode")

        endpoint = google.named("aiplatform", "/endpoints/")[0]
        names = {d["displayName"].partition("\n")[0]: d["id"] for d in endpoint["deployedModels"]}
        assert endpoint["trafficSplit"] == {names["champion"]: 90, names["challenger"]: 10}

        moved = mlinfra("apply", "--yes", "--var", "challenger_traffic=40")
        assert "0 added, 1 changed, 0 destroyed" in moved
        assert endpoint["trafficSplit"] == {names["champion"]: 60, names["challenger"]: 40}

        before = len(google.requests)
        mlinfra("apply", "--yes", "--var", "regularization=0.2")
        methods = [r.method.rpartition(".")[2] for r in google.requests[before:] if r.http != "GET"]
        assert (
            methods.index("deployModel") < methods.index("patch", methods.index("deployModel")) < methods.index("undeployModel")
        )
        assert sum(endpoint["trafficSplit"].values()) == 100
        mlinfra("plan", "--detailed-exitcode", "--var", "regularization=0.2")

        google.objects["storage"]["acme-ml-quickstart-gcp-raw"]["versioning"] = {"enabled": False}
        endpoint["trafficSplit"] = dict.fromkeys(endpoint["trafficSplit"], 50)
        drift = mlinfra("plan", "--detailed-exitcode", "--var", "regularization=0.2", code=2)
        assert "raw" in drift and "api.traffic" in drift
        assert "0 added, 2 changed, 0 destroyed" in mlinfra("apply", "--yes", "--var", "regularization=0.2")

        mlinfra("state", "rm", "raw")
        mlinfra("import", "--var", "regularization=0.2", "raw", "acme-ml-quickstart-gcp-raw")
        adopted = mlinfra("apply", "--yes", "--var", "regularization=0.2")
        assert "0 added, 1 changed, 0 destroyed" in adopted, "only forceDestroy, which is ours and not the bucket's, is new"

        mlinfra("destroy", "--yes")
        assert google.everything() == []
        assert google.invalid == []
        assert json.dumps([r.status for r in google.requests if r.status == 400]) == "[]"
