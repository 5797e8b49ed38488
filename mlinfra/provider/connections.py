"""Clients of provider instances, each connected once, when first needed; and the limiter of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import PlanError
from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.redaction import redact
from mlinfra.model.validation import refusal
from mlinfra.model.values import EMPTY, Map
from mlinfra.provider.contract import Client, Provider, ProviderContext, ResourceType
from mlinfra.provider.failures import Failure
from mlinfra.provider.limiter import Limiter
from mlinfra.provider.registry import Registry
from mlinfra.provider.settings import configured


@dataclass(frozen=True, slots=True)
class Bound:
    """A native type, the client to call it with, and the limiter to call it through."""

    type: ResourceType
    client: Client
    limiter: Limiter
    provider: str


class Connections:
    """``settings`` by provider instance (``aws.eu``). ``context`` gives each instance its ProviderContext; ``secrets`` puts
    fetched secrets where the settings only say where they lie."""

    def __init__(
        self,
        registry: Registry,
        settings: Mapping[str, Map],
        context: Callable[[str], ProviderContext],
        *,
        parallelism: int | None = None,
        secrets: Callable[[Map], Awaitable[Map]] | None = None,
    ) -> None:
        self._secrets = secrets
        self.registry = registry
        self._settings = settings
        self._context = context
        self._parallelism = parallelism
        self._clients: dict[str, asyncio.Task[Client]] = {}
        self._limiters: dict[str, Limiter] = {}
        self._bound: dict[tuple[str, str], Bound] = {}

    def limiter(self, instance: str) -> Limiter:
        if instance not in self._limiters:
            most = self._parallelism or self.registry.get(instance).max_concurrency
            self._limiters[instance] = Limiter(most)
        return self._limiters[instance]

    async def bind(self, type_name: str, instance: str) -> Bound:
        """The type with a connected client. PlanError when the provider is unknown or cannot connect."""
        bound = self._bound.get((type_name, instance))
        if bound is None:
            found = self.registry.type(type_name)
            bound = Bound(found, await self.client(instance), self.limiter(instance), instance)
            self._bound[type_name, instance] = bound
        return bound

    async def client(self, instance: str) -> Client:
        await a_loop()
        if instance not in self._clients:
            self._clients[instance] = asyncio.ensure_future(self._connect(instance))
        connecting = self._clients[instance]
        return connecting.result() if connecting.done() else await asyncio.shield(connecting)

    async def _connect(self, instance: str) -> Client:
        provider: Provider = self.registry.get(instance)
        settings: Any = self._settings.get(instance, EMPTY)
        if self._secrets is not None:
            settings = await self._secrets(settings)
        try:
            config = configured(provider, settings)
            return await provider.connect(config, self._context(instance))
        except refusal() as error:  # a fetched secret that the settings do not take
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
            raise PlanError(
                Diagnostic(
                    code="provider.settings", message=f"the settings of provider {instance!r}: {redact('; '.join(problems))}"
                )
            ) from None
        except Failure as failure:
            failure.hide()
            raise PlanError(
                Diagnostic(
                    code=failure.code,
                    message=f"provider {instance!r} cannot connect: {failure.message}",
                    hint=failure.hint,
                )
            ) from failure

    async def close(self) -> None:
        """Close every client that can be closed."""
        for task in self._clients.values():
            if task.done() and not task.cancelled() and task.exception() is None:
                close = getattr(task.result(), "close", None)
                if close is not None:
                    await close()
            else:
                task.cancel()
        self._clients.clear()
        self._bound.clear()
