"""Zilliz Cloud's control plane over its REST API, version 2. The only file here that knows httpx.

Operations, fields and error codes: https://docs.zilliz.com/reference/restful/cluster-operations-v2 and …/error-codes-v2. An answer of
HTTP 200 may be a refusal: its ``code`` says. Names that are taken are told by 40013 where the reference says 96017 (traffic recorded
in Zilliz's own Terraform provider), a key that is none by 21119.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mlinfra.model.redaction import remember
from mlinfra.provider.failures import AlreadyExists, Conflict, Denied, Failure, Invalid, NotFound, Quota, Throttled, Transient
from mlinfra.provider.zilliz.settings import ZillizSettings

KEY = "ZILLIZ_API_KEY"
_SECONDS = 30.0
_PAGE = 100
_ABSENT = frozenset({96018, 96036})
_TAKEN = frozenset({40013, 96017})
_STRANGERS_KEY = frozenset({21119, 80001, 80002})
_FORBIDDEN = frozenset({96012, 96013, 96014, 96015, 96016, 96027})
_NOT_HERE: Mapping[int, tuple[str, str]] = {
    96001: ("regionId", "zilliz: {region: …} takes one of https://zilliz.com/all-regions"),
    96002: ("cuSize", ""),
    96003: ("cuType", ""),
    96004: ("plan", ""),
    96005: ("projectId", "the id of a project, proj-…, is shown in Zilliz Cloud's console"),
    96010: ("name", ""),
    96019: ("regionId", "choose another plan, or another region"),
    96020: ("regionId", "choose plan: standard, or another region: https://zilliz.com/all-regions says where serverless is"),
    96023: ("cuSize", "plan, cu_type and cu_size must go together: https://docs.zilliz.com/docs/cu-types-explained"),
    96028: ("replica", "choose plan: enterprise"),
}
"""Refusals for good: the attribute that each is about, and what to do."""


class Zilliz:
    """The clusters that one API key reaches. Raises only failures."""

    def __init__(self, settings: ZillizSettings) -> None:
        self.settings = settings
        self._http: Any = None
        self._project: asyncio.Task[str] | None = None

    @property
    def key(self) -> str:
        """The API key. Denied when there is none."""
        given = self.settings.api_key
        key = given.get_secret_value() if given is not None else os.environ.get(KEY, "")
        if not key:
            raise Denied(
                "no key for Zilliz Cloud was found",
                hint=f"set {KEY}, or zilliz: {{api_key: \"${{secret('…')}}\"}} in the target's settings",
            )
        remember(key)
        return key

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def project(self) -> str:
        """The project that clusters are made in where none is named: the setting's, or the only one. Asked once."""
        if self.settings.project is not None:
            return self.settings.project
        if self._project is None:
            self._project = asyncio.ensure_future(self._only_project())
        try:
            return await asyncio.shield(self._project)
        except Failure:
            self._project = None
            raise

    async def _only_project(self) -> str:
        found = await self._call("GET", "projects") or []
        if len(found) == 1:
            return str(found[0]["projectId"])
        told = ", ".join(f"{p.get('projectName')} ({p.get('projectId')})" for p in found) or "none"
        raise Invalid(
            f"which Zilliz Cloud project? The key sees {told}",
            path=("projectId",),
            hint="zilliz: {project: proj-…}, in the resource or in the target's settings",
        )

    async def create_serverless(self, body: Mapping[str, Any]) -> str:
        """``clusterName``, ``projectId``, ``regionId`` → the new cluster's id."""
        return await self._created("clusters/createServerless", body)

    async def create_dedicated(self, body: Mapping[str, Any]) -> str:
        """``clusterName``, ``projectId``, ``regionId``, ``plan``, ``cuType``, ``cuSize`` → the new cluster's id."""
        return await self._created("clusters/createDedicated", body)

    async def _created(self, path: str, body: Mapping[str, Any]) -> str:
        answer = await self._call("POST", path, body)
        remember(answer.get("password"))  # told once, and needed by nobody: the key opens the cluster too
        return str(answer["clusterId"])

    async def describe(self, id: str) -> dict[str, Any] | None:
        """The cluster; None when there is none."""
        try:
            found: dict[str, Any] = await self._call("GET", f"clusters/{quote(id, safe='')}")
        except NotFound:
            return None
        return found

    async def named(self, name: str) -> dict[str, Any] | None:
        """The cluster of this name, by list calls of a hundred; None when there is none. Dropped ones do not count."""
        page = 0
        while True:
            page += 1
            answer = await self._call("GET", "clusters", query={"pageSize": _PAGE, "currentPage": page})
            found = answer.get("clusters") or []
            for cluster in found:
                if cluster.get("clusterName") == name and cluster.get("status") not in ("DELETING", "DELETED"):
                    return dict(cluster)
            if len(found) < _PAGE:
                return None

    async def modify(self, id: str, body: Mapping[str, Any]) -> None:
        """``cuSize`` or ``replica`` of a dedicated cluster that runs."""
        await self._call("POST", f"clusters/{quote(id, safe='')}/modify", body)

    async def resume(self, id: str) -> None:
        await self._call("POST", f"clusters/{quote(id, safe='')}/resume")

    async def drop(self, id: str) -> None:
        """Drop it (Zilliz Cloud keeps it in its recycle bin for 30 days). Gone is success."""
        try:
            await self._call("DELETE", f"clusters/{quote(id, safe='')}/drop")
        except NotFound:
            return

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, query: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            import httpx
        except ImportError:
            raise Invalid("Zilliz Cloud needs httpx, which is not installed", hint="pip install httpx") from None
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        if self._http is None:
            self._http = httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False)
        url = f"{self.settings.endpoint}/v2/{path}"
        try:
            answer = await self._http.request(method, url, params=query, json=body, headers=headers)
        except httpx.ConnectError as error:
            host = httpx.URL(url).host
            raise Transient(f"Zilliz Cloud cannot be reached at {host}: {error or 'no connection'}") from error
        except httpx.HTTPError as error:
            raise Transient(f"Zilliz Cloud: the connection broke: {type(error).__name__}") from error
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict):
            if answer.status_code < 500 and answer.status_code != 429:
                raise Transient(f"Zilliz Cloud: an answer that is none of its own: HTTP {answer.status_code}")
            told = {"code": answer.status_code, "message": answer.reason_phrase}
        code = told.get("code")
        if answer.status_code < 400 and code in (0, 200):
            return told.get("data")
        after = answer.headers.get("Retry-After", "")
        request = answer.headers.get("requestid", "")
        raise _failure(answer.status_code, told, f"{method} /v2/{path}", request, float(after) if after.isdigit() else None)


def _failure(status: int, told: Mapping[str, Any], operation: str, request: str, after: float | None) -> Failure:
    code: Any = told.get("code", status)
    where = f"{operation}, code {code}" + (f", request {request}" if request else "")
    message = f"Zilliz Cloud: {str(told.get('message') or 'no reason given').rstrip('. ')} ({where})"
    if status == 429:
        return Throttled(message, after=after)
    if status >= 500:
        return Transient(message)
    if code in _ABSENT or status == 404:
        return NotFound(message)
    if code in _TAKEN:
        return AlreadyExists(message, path=("name",))
    if code in _STRANGERS_KEY or status == 401:
        return Denied(message, hint=f"look at {KEY}: keys are made in Zilliz Cloud's console, under API Keys")
    if code in _FORBIDDEN or status == 403:
        return Denied(message)
    if status == 409:
        return Conflict(message)
    if code in _NOT_HERE:
        attribute, hint = _NOT_HERE[code]
        return Invalid(message, path=(attribute,), hint=hint)
    if status == 402 or "quota" in message.lower() or "limit" in message.lower():
        return Quota(message)
    return Invalid(message)
