"""Zilliz Cloud's control plane for tests: holds every request against the published reference and refuses what it does not allow.

Paths, fields, types, enums and ranges: https://docs.zilliz.com/reference/restful/cluster-operations-v2; codes: …/error-codes-v2. Clusters
go through their states by being looked at. Answers have exactly the published fields, so that a client cannot rely on others.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlinfra.provider.testing import Sample

KEY = "0123456789abcdef-planted-zilliz-key"
PASSWORD = "planted-db-admin-passw0rd"
PROJECT = "proj-89bf4a83cfe2c8a4f03482"
REGIONS = frozenset(
    {"aws-us-west-2", "aws-us-east-1", "aws-eu-central-1", "gcp-us-west1", "gcp-us-central1", "az-eastus", "az-centralus"}
)
SERVERLESS = REGIONS - {"aws-us-east-1"}
_CREATE = {"clusterName": str, "projectId": str, "regionId": str}
_DEDICATED = {**_CREATE, "plan": str, "cuType": str, "cuSize": int}
_LISTED = (
    "clusterId", "clusterName", "projectId", "description", "regionId", "cuType", "plan", "status", "connectAddress",
    "privateLinkAddress", "cuSize", "createTime",
)  # fmt: skip
_DESCRIBED = (*_LISTED, "storageSize", "snapshotNumber", "createProgress")

SAMPLE: Mapping[str, Mapping[str, Any]] = {
    "serverless": {"name": "tickets", "regionId": "aws-us-west-2", "plan": "Serverless"},
    "two": {"name": "tickets", "regionId": "aws-us-west-2", "plan": "Standard", "cuType": "Performance-optimized", "cuSize": 2},
    "four": {"name": "tickets", "regionId": "aws-us-west-2", "plan": "Standard", "cuType": "Performance-optimized", "cuSize": 4},
    "copies": {
        "name": "tickets", "regionId": "gcp-us-west1", "plan": "Enterprise", "cuType": "Capacity-optimized", "cuSize": 8, "replica": 2,
    },
    "fewer": {
        "name": "tickets", "regionId": "gcp-us-west1", "plan": "Enterprise", "cuType": "Capacity-optimized", "cuSize": 8,
    },
}  # fmt: skip


def samples(type: str) -> tuple[Sample, ...]:
    """For a provider's contract suite: the type under the provider's own name."""
    return (
        Sample(type=type, name="dedicated", create=SAMPLE["two"], update=SAMPLE["four"], replace=SAMPLE["serverless"]),
        Sample(type=type, name="copies", create=SAMPLE["copies"], update=SAMPLE["fewer"], replace=SAMPLE["two"]),
    )


class Refused(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class FakeZilliz:
    """``clusters`` by id; ``requests`` (method, path, body); ``invalid``: what the reference does not allow.

    ``looks``    how often a cluster is described before it is what was asked for
    ``address``  the endpoint of every cluster (a Milvus beside it); None: one of Zilliz's own form
    ``faults``   answers (HTTP status, code, message) for the next requests, after they were carried out when ``late``
    """

    url: str = ""
    looks: int = 2
    address: str | None = None
    late: bool = False
    key: str = KEY
    clusters: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    faults: list[tuple[int, int, str]] = field(default_factory=list)
    projects: list[str] = field(default_factory=lambda: [PROJECT])
    guard: threading.RLock = field(default_factory=threading.RLock)
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def settings(self, **more: Any) -> dict[str, Any]:
        """What goes under ``zilliz`` in a provider's settings."""
        return {"endpoint": self.url, "api_key": self.key, "poll": 0.01, **more}

    def standing(self) -> list[dict[str, Any]]:
        """The clusters that have not been dropped."""
        return [c for c in self.clusters.values() if c["status"] not in ("DELETING", "DELETED")]

    # one request

    def answer(self, method: str, url: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, Any]]:
        with self.guard:
            parts = urlsplit(url)
            query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
            try:
                body = json.loads(raw) if raw else None
                self.requests.append((method, parts.path, body))
                fault = self.faults.pop(0) if self.faults else None
                if fault is not None and not self.late:
                    raise Refused(*fault)
                data = self._route(method, parts.path, query, headers, body)
                if fault is not None:
                    raise Refused(*fault)
                return 200, {"code": 0, "data": data}
            except Refused as refused:
                return refused.status, {"code": refused.code, "message": refused.message}

    def _route(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: Any) -> Any:
        if headers.get("Authorization") != f"Bearer {self.key}":
            raise Refused(401, 21119, "The apikey is illegal.")
        if body is not None and headers.get("Content-Type") != "application/json":
            raise self._wrong(f"{path}: a body that is no application/json")
        if (method, path) == ("GET", "/v2/projects"):
            return [
                {"projectId": p, "projectName": f"Project {p[-4:]}", "instanceCount": 0, "createTime": "2024-06-30T16:34:09Z"}
                for p in self.projects
            ]
        if (method, path) == ("GET", "/v2/clusters"):
            return self._list(query)
        if method == "POST" and path in ("/v2/clusters/createServerless", "/v2/clusters/createDedicated"):
            return self._create(body, dedicated=path.endswith("Dedicated"))
        match = re.fullmatch(r"/v2/clusters/([^/]+)(?:/(modify|resume|suspend|drop))?", path)
        if match is None or query:
            raise self._wrong(f"there is no {method} {path}")
        cluster = self.clusters.get(match[1])
        if cluster is None or cluster["status"] == "DELETED":
            raise Refused(200, 96018, "Cluster not found. Please use the ListClusters API to obtain your scoped clusters.")
        call = (method, match[2])
        if call == ("GET", None):
            return self._describe(cluster)
        if call == ("DELETE", "drop"):
            cluster["status"], cluster["next"], cluster["left"] = "DELETING", {"status": "DELETED"}, 1
            return {"clusterId": match[1], "prompt": "The cluster has been deleted."}
        if call == ("POST", "modify"):
            return self._modify(cluster, body)
        if call in (("POST", "resume"), ("POST", "suspend")):
            return self._state(cluster, match[2])
        raise self._wrong(f"there is no {method} {path}")

    def _wrong(self, sentence: str) -> Refused:
        self.invalid.append(sentence)
        return Refused(400, 40022, sentence)

    def _checked(self, body: Any, fields: Mapping[str, type], *, all: bool = True) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise self._wrong("no body")
        for name, value in body.items():
            if name not in fields:
                raise self._wrong(f"there is no field {name!r}")
            if type(value) is not fields[name]:
                raise self._wrong(f"{name} is {value!r}, no {fields[name].__name__}")
        missing = [n for n in fields if n not in body]
        if all and missing:
            raise self._wrong(f"{missing[0]} is missing")
        return body

    def _create(self, body: Any, *, dedicated: bool) -> Any:
        asked = self._checked(body, _DEDICATED if dedicated else _CREATE)
        if not re.fullmatch(r"[A-Za-z0-9-]{1,32}", asked["clusterName"]):
            raise Refused(200, 96010, "Invalid clusterName. Cluster names can only contain alphanumeric letters and hyphens.")
        if asked["projectId"] not in self.projects:
            raise Refused(200, 96005, "Invalid projectId. The projectId should be like proj-xxxxxxxx.")
        if asked["regionId"] not in REGIONS:
            raise Refused(
                200, 96001, "Invalid RegionId. Please use the ListCloudRegions API to obtain a list of supported regionIds."
            )
        if not dedicated and asked["regionId"] not in SERVERLESS:
            raise Refused(200, 96020, "This region does not support serverless plan.")
        if dedicated:
            self._class(asked)
        if any(c["clusterName"] == asked["clusterName"] and c["projectId"] == asked["projectId"] for c in self.standing()):
            raise Refused(200, 40013, "The specified cluster name already exists.")
        id = f"in{'01' if dedicated else '05'}-{next(self.count):015x}"
        host = f"{id}.{'' if dedicated else 'serverless.'}{asked['regionId']}.vectordb.zillizcloud.com"
        self.clusters[id] = {
            "plan": "Serverless", "cuType": "", "cuSize": 0, **asked, "clusterId": id, "description": "", "status": "CREATING",
            "connectAddress": "", "privateLinkAddress": "", "createTime": "2026-06-30T16:34:09Z", "storageSize": 0,
            "snapshotNumber": 0, "createProgress": 0, "left": self.looks, "replica": 1,
            "next": {"status": "RUNNING", "createProgress": 100,
                     "connectAddress": self.address or f"https://{host}" + (":19530" if dedicated else "")},
        }  # fmt: skip
        return {"clusterId": id, "username": "db_admin", "password": PASSWORD, "prompt": "successfully submitted, …"}

    def _class(self, asked: Mapping[str, Any]) -> None:
        if asked["plan"] not in ("Standard", "Enterprise"):
            raise Refused(200, 96004, "Invalid dedicated plan.")
        if asked["cuType"] not in ("Performance-optimized", "Capacity-optimized"):
            raise Refused(200, 96003, "Invalid cuType.")
        sizes = [1, 2, *range(4, 33, 4)]
        if asked["plan"] == "Enterprise":
            sizes += [*range(36, 65, 4), *range(72, 257, 8), *range(272, 1025, 16)]
        if asked["cuSize"] not in sizes:
            raise Refused(200, 96023, "The specified class does not exist. Please check the cuType, cuSize and plan combination.")

    def _modify(self, cluster: dict[str, Any], body: Any) -> Any:
        asked = self._checked(body, {"cuSize": int, "replica": int}, all=False)
        if len(asked) != 1:
            raise self._wrong("modify takes cuSize or replica")
        if cluster["plan"] == "Serverless":
            raise Refused(200, 96022, "Serverless cluster does not support this operation.")
        self._must_run(cluster)
        if "cuSize" in asked:
            self._class({**cluster, **asked})
        elif cluster["plan"] != "Enterprise":
            raise Refused(200, 96028, "Feature only supported for enterprise plan clusters.")
        elif cluster["cuSize"] < 8 or cluster["cuSize"] * asked["replica"] > 256:
            raise Refused(200, 96023, "The specified class does not exist.")
        cluster.update(status="MODIFYING", next={"status": "RUNNING", **asked}, left=self.looks)
        return {"clusterId": cluster["clusterId"], "prompt": "successfully submitted."}

    def _state(self, cluster: dict[str, Any], call: str) -> Any:
        if call == "suspend":
            self._must_run(cluster)
            cluster.update(status="STOPPING", next={"status": "STOPPED"}, left=1)
        elif cluster["status"] == "STOPPED":
            cluster.update(status="RESUMING", next={"status": "RUNNING"}, left=self.looks)
        else:
            raise self._wrong(f"resume of a cluster that is {cluster['status']}")
        return {"clusterId": cluster["clusterId"], "prompt": "Successfully submitted."}

    def _must_run(self, cluster: Mapping[str, Any]) -> None:
        if cluster["status"] != "RUNNING":
            raise self._wrong(f"a change of a cluster that is {cluster['status']}")

    def _describe(self, cluster: dict[str, Any]) -> dict[str, Any]:
        told = {name: cluster[name] for name in _DESCRIBED}
        if cluster.get("next"):
            cluster["left"] -= 1
            if cluster["left"] <= 0:
                cluster.update(cluster.pop("next"))
        return told

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        if not set(query) <= {"pageSize", "currentPage"}:
            raise self._wrong(f"list takes no {set(query)}")
        size, page = int(query.get("pageSize", 10)), int(query.get("currentPage", 1))
        if not 1 <= size <= 100:
            raise Refused(200, 96008, "The parameter value for pageSize should be between 1 and 100.")
        found = [{name: c[name] for name in _LISTED} for c in self.clusters.values() if c["status"] != "DELETED"]
        return {"count": len(found), "currentPage": page, "pageSize": size, "clusters": found[(page - 1) * size : page * size]}


class _Handler(BaseHTTPRequestHandler):
    fake: FakeZilliz
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, told = self.fake.answer(self.command, self.path, self.headers, raw)
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("requestid", "r-4711")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _do

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def zilliz(**more: Any) -> Iterator[FakeZilliz]:
    """A Zilliz Cloud of the test's own; ``invalid`` is looked at by whoever asked for it."""
    fake = FakeZilliz(**more)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
