"""The jobs that ``mlinfra ci gitlab`` writes, their scripts run by a shell against a server that speaks the few calls of GitLab's API
which they make: notes of a merge request, artifacts by reference, issues."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml

from mlinfra.cli.app import run

pytestmark = [pytest.mark.live, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]
SPEC = "version: 1\nproject: gl\nresources:\n  raw: {kind: bucket}\n  one: {kind: data, input: '${raw.uri}'}\n"
PROJECT = "/api/v4/projects/42"


class GitLab(ThreadingHTTPServer):
    """Projects API, as far as it is documented for these calls; anything else is 404, no token 401."""

    def __init__(self, artifact: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.artifact = artifact
        self.notes: list[dict[str, Any]] = [{"id": 1, "body": "nice"}]
        self.issues: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: GitLab

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, code: int, data: Any = None, raw: bytes | None = None) -> None:
        body = raw if raw is not None else json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _handle(self) -> None:
        if self.headers.get("PRIVATE-TOKEN") != "secret-token":
            return self._answer(401)
        url = urlsplit(self.path)
        path, query = unquote(url.path).removeprefix(PROJECT), parse_qs(url.query)
        form = {k: v[0] for k, v in parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()).items()}
        match self.command, path.strip("/").split("/"):
            case "GET", ["merge_requests", "7", "notes"]:
                self._answer(200, self.server.notes)
            case "POST", ["merge_requests", "7", "notes"]:
                self.server.notes.append({"id": len(self.server.notes) + 1, "body": form["body"]})
                self._answer(201, {})
            case "PUT", ["merge_requests", "7", "notes", number]:
                next(n for n in self.server.notes if str(n["id"]) == number)["body"] = form["body"]
                self._answer(200, {})
            case "GET", ["repository", "commits", "merged", "merge_requests"]:
                self._answer(200, [{"iid": 7}])
            case "GET", ["jobs", "artifacts", "refs", "merge-requests", "7", "head", "raw", "plan", "approved.plan"] if query == {
                "job": ["plan"]
            }:
                self._answer(200, raw=self.server.artifact.read_bytes())
            case "GET", ["issues"]:
                self._answer(200, [i for i in self.server.issues if query["search"][0] in i["title"]])
            case "POST", ["issues"]:
                self.server.issues.append(
                    {"iid": len(self.server.issues) + 1, "title": form["title"], "said": [form["description"]]}
                )
                self._answer(201, {})
            case "POST", ["issues", number, "notes"]:
                next(i for i in self.server.issues if str(i["iid"]) == number)["said"].append(form["body"])
                self._answer(201, {})
            case _:
                self._answer(404, {"message": self.path})

    do_GET = do_POST = do_PUT = _handle


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLab]:
    server = GitLab(tmp_path / "plan/approved.plan")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_plan_comment_apply_and_drift_as_the_runner_would(gitlab: GitLab, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    spec = tmp_path / "mlinfra.yaml"
    spec.write_text(SPEC)
    assert run(["ci", "gitlab", "-C", str(tmp_path)]) == 0
    pipeline = yaml.safe_load((tmp_path / ".gitlab-ci.yml").read_text())
    environ = {
        **os.environ, **{k: v for k, v in pipeline["variables"].items() if k != "PIP_CACHE_DIR"},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CI_API_V4_URL": f"http://127.0.0.1:{gitlab.server_port}/api/v4",
        "CI_PROJECT_ID": "42", "CI_MERGE_REQUEST_IID": "7", "CI_COMMIT_SHA": "merged", "MLINFRA_GITLAB_TOKEN": "secret-token", "NO_COLOR": "1",
    }  # fmt: skip

    def job(name: str) -> tuple[int, str]:
        """As GitLab's shell executor does: the lines of the script in one shell, which stops at the first that fails."""
        script = "set -eo pipefail\n" + "\n".join(pipeline[name]["script"])
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout + done.stderr

    code, said = job("plan")
    assert code == 0, said
    assert [n["id"] for n in gitlab.notes] == [1, 2] and gitlab.notes[1]["body"].startswith("<!-- mlinfra plan: gl/")
    spec.write_text(SPEC.replace("bucket}", "bucket, versioning: true}"))
    assert job("plan")[0] == 0
    assert len(gitlab.notes) == 2 and "versioning    = true" in gitlab.notes[1]["body"]
    code, said = job("apply")
    assert code == 0 and "Apply complete! Resources: 2 added" in said, said
    assert job("drift")[0] == 0 and gitlab.issues == []
    shutil.rmtree(next(p for p in (tmp_path / ".mlinfra/local").rglob("raw") if p.is_dir()))
    assert job("drift")[0] == 0
    assert job("drift")[0] == 0
    (issue,) = gitlab.issues
    assert issue["title"].startswith("mlinfra: drift in") and len(issue["said"]) == 2 and "`raw` is gone" in issue["said"][0]
