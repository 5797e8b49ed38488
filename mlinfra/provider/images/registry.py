"""A container registry over its HTTP API: which manifest a tag names, and its deletion.

OCI Distribution Specification 1.1 (https://github.com/opencontainers/distribution-spec/blob/main/spec.md); the Bearer challenge as in
https://distribution.github.io/distribution/spec/auth/token/.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from mlinfra.model.patterns import pattern
from mlinfra.provider.failures import Denied, Failure, Invalid, NotFound, Throttled, Transient
from mlinfra.provider.images.login import Login

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_SECONDS = 60.0
_PART = pattern(r'(\w+)="([^"]*)"')


class Registry:
    """One repository. Calls block; NotFound and the rest of the closed set, and nothing else. Use as a context manager."""

    def __init__(self, login: Login) -> None:
        try:
            import httpx
        except ImportError:
            raise Invalid(
                "a registry is read with httpx, which is not installed", hint="pip install 'mlinfra-iac[images]'"
            ) from None
        self._login = login
        self._base = f"{'http' if login.plain else 'https'}://{login.host}/v2/{login.name}"
        self._http = httpx.Client(timeout=_SECONDS, follow_redirects=True)
        self._bearer = ""

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def digest(self, tag: str) -> str | None:
        """The digest of the manifest that ``tag`` (or a digest) names; None when there is none, or no such repository."""
        try:
            answer = self._call("HEAD", f"manifests/{quote(tag, safe=':')}")
        except NotFound:
            return None
        return str(answer.headers.get("Docker-Content-Digest", "")) or None

    def tags(self) -> list[str]:
        """The repository's tags."""
        found: list[str] = []
        path = "tags/list?n=1000"
        while path:
            try:
                answer = self._call("GET", path)
            except NotFound:
                break
            found += answer.json().get("tags") or []
            following = answer.links.get("next", {}).get("url", "")
            path = f"tags/list?{following.partition('?')[2]}" if following else ""
        return found

    def delete(self, digest: str) -> None:
        """Delete a manifest, and every tag that names it. Gone is success."""
        try:
            self._call("DELETE", f"manifests/{digest}")
        except NotFound:
            return

    def _call(self, method: str, path: str) -> Any:
        import httpx

        for _ in range(2):
            try:
                answer = self._http.request(method, f"{self._base}/{path}", headers=self._headers(), auth=self._auth())
            except httpx.ConnectError as error:
                raise Transient(f"the registry {self._login.host} cannot be reached: {error or 'no connection'}") from error
            except httpx.HTTPError as error:
                raise Transient(f"the registry {self._login.host}: the connection broke: {type(error).__name__}") from error
            challenge = answer.headers.get("WWW-Authenticate", "")
            if answer.status_code == 401 and challenge.lower().startswith("bearer ") and not self._bearer:
                self._bearer = self._token(dict(_PART.findall(challenge)))
                continue
            break
        if answer.status_code >= 400:
            raise _failure(answer, f"{method} {self._login.repository}/{path}")
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": _MANIFESTS}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        return headers

    def _auth(self) -> tuple[str, str] | None:
        return (self._login.username, self._login.password) if self._login.username and not self._bearer else None

    def _token(self, challenge: dict[str, str]) -> str:
        """The registry's own token for what the challenge asks, in exchange for the login."""
        realm = challenge.get("realm", "")
        if not realm.startswith("https://") and not self._login.plain:
            raise Denied(f"the registry {self._login.host} sends the login to {realm or 'nowhere'}, which is no https:// address")
        wanted = {"service": challenge.get("service", ""), "scope": f"repository:{self._login.name}:pull,push,delete"}
        answer = self._http.get(realm, params=wanted, auth=self._auth())
        if answer.status_code >= 400:
            raise _failure(answer, f"GET {realm}")
        told = answer.json()
        return str(told.get("token") or told.get("access_token") or "")


def _failure(answer: Any, operation: str) -> Failure:
    try:
        reasons = [str(e.get("message") or e.get("code")) for e in answer.json().get("errors") or ()]
    except ValueError:
        reasons = []
    message = f"{operation}: {'; '.join(reasons) or answer.reason_phrase} (HTTP {answer.status_code})"
    if answer.status_code == 404:
        return NotFound(message)
    if answer.status_code in (401, 403):
        return Denied(message, hint="may these credentials read and write the repository?")
    if answer.status_code == 429:
        return Throttled(message)
    return Transient(message) if answer.status_code >= 500 else Invalid(message)
