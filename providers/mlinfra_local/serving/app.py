"""The routes of a serving process."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mlinfra_local.serving.admin import CONFIG_ROUTE, RELOAD_ROUTE
from mlinfra_local.serving.config import ServingConfig
from mlinfra_local.serving.deployment import Deployer, Served
from mlinfra_local.serving.metrics import CONTENT_TYPE, Metrics
from mlinfra_local.serving.models import LoadError

VARIANT_HEADER = "x-mlinfra-variant"
_SHADOW_THREADS = 2
_SHADOW_LIMIT = 64
_log = logging.getLogger("mlinfra.serving")


class Server:
    """Answers requests from the deployment in force. ``token`` opens the admin routes."""

    def __init__(self, deployer: Deployer, token: str) -> None:
        self._deployer = deployer
        self._token = token
        self._metrics = Metrics()
        self._metrics.serving(deployer.current.config.variants)
        self._shadow_pool = ThreadPoolExecutor(_SHADOW_THREADS, thread_name_prefix="shadow")
        self._shadow_tasks: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/invocations", self._invocations, methods=["POST"]),
                Route("/metrics", self._show_metrics, methods=["GET"]),
                Route(CONFIG_ROUTE, self._show_config, methods=["GET"]),
                Route(RELOAD_ROUTE, self._reload, methods=["POST"]),
                Route("/{path:path}", self._health, methods=["GET"]),
            ],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self._shadow_pool.shutdown(wait=False, cancel_futures=True)

    async def _invocations(self, request: Request) -> Response:
        body = await request.body()
        # Nothing is awaited between this look and the hand-over to the pool, so no swap can come in between; a request that
        # is in the pool finishes with the model that it was given.
        deployment = self._deployer.current
        asked = request.headers.get(VARIANT_HEADER)
        if asked is not None and asked not in deployment.variants:
            known = ", ".join(deployment.variants)
            return _problem(400, "BAD_REQUEST", f"there is no variant {asked!r}; there are: {known}")
        content_type = request.headers.get("content-type", "application/json")
        if asked is not None:
            chosen = deployment.variants[asked]
        else:
            sticky = deployment.config.sticky
            chosen = deployment.choose(request.headers.get(sticky) if sticky else None)
            for shadow in deployment.shadows():
                self._mirror(shadow, body, content_type)
        return await self._score(deployment.pool, chosen, body, content_type)

    async def _score(self, pool: ThreadPoolExecutor, chosen: Served, body: bytes, content_type: str) -> Response:
        began = time.perf_counter()
        self._metrics.begun(chosen.name)
        try:
            reply = await asyncio.get_running_loop().run_in_executor(pool, chosen.model.score, body, content_type)
        finally:
            self._metrics.ended(chosen.name)
        self._metrics.answered(chosen.name, chosen.settings.shadow, reply.status, time.perf_counter() - began)
        return Response(reply.body, reply.status, {VARIANT_HEADER: chosen.name}, "application/json")

    def _mirror(self, shadow: Served, body: bytes, content_type: str) -> None:
        if len(self._shadow_tasks) >= _SHADOW_LIMIT:
            self._metrics.dropped(shadow.name)
            return
        task = asyncio.create_task(self._copy(shadow, body, content_type))
        self._shadow_tasks.add(task)
        task.add_done_callback(self._shadow_tasks.discard)

    async def _copy(self, shadow: Served, body: bytes, content_type: str) -> None:
        await self._score(self._shadow_pool, shadow, body, content_type)

    async def _health(self, request: Request) -> Response:
        if request.url.path in ("/ping", "/health", self._deployer.current.config.health_path):
            return Response("\n", media_type="application/json")
        return _problem(404, "NOT_FOUND", f"there is nothing at {request.url.path}")

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _show_config(self, request: Request) -> Response:
        return JSONResponse(self._deployer.current.config.to_json()) if self._is_admin(request) else _refused()

    async def _reload(self, request: Request) -> Response:
        if not self._is_admin(request):
            return _refused()
        try:
            wanted = json.loads(await request.body())
            config = ServingConfig.from_json(wanted["config"])
            environment = {str(k): str(v) for k, v in wanted["environment"].items()}
            timeout = float(wanted["timeout"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return _problem(400, "BAD_REQUEST", f"this is no configuration: {error}")
        try:
            await self._deployer.change(config, environment, timeout)
        except LoadError as error:
            self._metrics.reloaded("failed")
            return _problem(409, "MODEL_NOT_LOADED", str(error))
        except TimeoutError:
            self._metrics.reloaded("failed")
            return _problem(504, "TIMEOUT", f"the models did not load in {timeout:g} seconds")
        self._metrics.reloaded("done")
        self._metrics.serving(config.variants)
        _log.info("now serving %s", ", ".join(f"{n}={v.traffic} {v.uri}" for n, v in config.variants.items()))
        return JSONResponse({"status": "done"})

    def _is_admin(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(self._token) and hmac.compare_digest(given.encode(), self._token.encode())


def _problem(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error_code": code, "message": message}, status)


def _refused() -> Response:
    return _problem(403, "PERMISSION_DENIED", "this route is for the command that supervises this process")
