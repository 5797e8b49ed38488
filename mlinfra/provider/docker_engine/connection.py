"""A connection to an engine by the Docker SDK, and why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.provider.docker_engine.tunnel import Tunnel
from mlinfra.provider.failures import Failure


class Connection:
    """``api`` is the SDK's low-level client, connected; ``address`` is what people call the engine; ``tunnel`` is there over SSH."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """``options`` are ``base_url`` and ``tls`` of the SDK's client. Connects with :meth:`open`."""
        self._options = dict(options)
        self.address = str(self._options.get("base_url") or "unix:///var/run/docker.sock")
        self.tunnel = Tunnel(self.address) if self.address.startswith("ssh://") else None
        self.api: Any = None

    def open(self, *, timeout: float, **more: Any) -> None:
        """Connect; ``timeout`` seconds a call, ``more`` as the SDK's client takes it. Any error: :meth:`explained` has its reason."""
        options = self._options
        if self.tunnel is not None:
            self.tunnel.open()
            options = {"base_url": self.tunnel.url}
        self.api = _session_type()(**options, version="auto", timeout=timeout, **more)

    def ready(self) -> None:
        """Connect again if SSH has ended: every call begins with it."""
        if self.tunnel is not None:
            self.tunnel.open()

    def close(self) -> None:
        if self.api is not None:
            self.api.close()
            for adapter in {id(a): a for a in self.api.adapters.values()}.values():
                adapter.close()
        if self.tunnel is not None:
            self.tunnel.close()

    def explained(self, error: BaseException) -> tuple[str, str]:
        """Why a call did not come through, in words, and the way out where it is known."""
        known = error if isinstance(error, Failure) else None
        trouble = (self.tunnel.trouble() if self.tunnel else None) or known
        return (trouble.message, trouble.hint) if trouble else _disconnected(error)


def default_options() -> dict[str, Any]:
    """The engine that Docker's own rules name: DOCKER_HOST with its companions, the current context, the socket."""
    from docker import utils
    from docker.context import ContextAPI

    return dict(utils.kwargs_from_env() or ContextAPI.kwargs_from_context())


def _session_type() -> Any:
    """The SDK's client, to which REQUESTS_CA_BUNDLE does not matter: that is for the web, and an engine has an authority of its own."""
    import docker

    class Session(docker.APIClient):  # type: ignore[misc]
        def merge_environment_settings(self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            chosen = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, chosen, cert)

    return Session


def _disconnected(error: BaseException) -> tuple[str, str]:
    """Why nothing came through, in words, and the way out where it is known."""
    reason = _root_cause(error)
    found = next((told for mark, told in _TLS.items() if mark in reason.lower().replace("_", " ")), None)
    if found is None:
        return reason, ""
    problem, hint = found
    detail = reason.partition("verify failed: ")[2].rpartition(" (")[0]
    return (f"{problem}: {detail}" if detail else problem), hint


_CLIENT = (
    "the engine asks for a client certificate that its authority signed",
    "providers: {docker: {tls: {cert: …, key: …}}} names yours",
)
_TLS = {
    "certificate verify failed": (
        "the engine's certificate is not trusted",
        "providers: {docker: {tls: {ca: …}}} names the authority that signed it, and host a name that it is for",
    ),
    "certificate required": _CLIENT,
    "bad certificate": _CLIENT,
    "unknown ca": _CLIENT,
    "http request to an https server": (
        "it speaks TLS only",
        "providers: {docker: {tls: {ca: …, cert: …, key: …}}} names the certificates",
    ),
}
"""What a broken handshake says (OpenSSL's words, and Go's) → problem and way out."""


def _root_cause(error: BaseException) -> str:
    """The innermost reason of a nest of transport errors, in words."""
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, BaseException)), None)
        reason = getattr(error, "reason", None)
        if isinstance(reason, BaseException):
            inner = reason
        if inner is None:
            break
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
