"""What is served at one moment, and the swap to something else while requests are in flight."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlinfra.model.dataclass import dataclass, replace
from mlinfra_local.serving.config import ServingConfig, VariantConfig, write_config
from mlinfra_local.serving.models import Model, load
from mlinfra_local.serving.traffic import Sample, StickyChoice, WeightedTurns


@dataclass(frozen=True, slots=True)
class Served:
    """A variant with its model loaded. Requests hold on to theirs, so an old model lives until the last of them is answered."""

    name: str
    settings: VariantConfig
    model: Model


class Deployment:
    """An unchanging set of loaded variants, with the counters that share the traffic out among them."""

    def __init__(self, config: ServingConfig, models: Mapping[str, Model]) -> None:
        self.config = config
        self.variants = {name: Served(name, settings, models[name]) for name, settings in config.variants.items()}
        weights = {name: v.traffic for name, v in config.variants.items() if not v.shadow}
        self._turns = WeightedTurns(weights)
        self._sticky = StickyChoice(weights)
        self._shadows = {name: Sample(v.traffic) for name, v in config.variants.items() if v.shadow}
        self.pool = ThreadPoolExecutor(config.threads, thread_name_prefix="predict")

    def choose(self, key: str | None) -> Served:
        """The variant for the next request; ``key`` is what the sticky header holds."""
        return self.variants[self._sticky.of(key) if key else self._turns.next()]

    def shadows(self) -> list[Served]:
        """The shadows that get a copy of this request."""
        return [self.variants[name] for name, sample in self._shadows.items() if sample.next()]

    def release(self) -> None:
        """Let the threads end when what they have begun is done."""
        self.pool.shutdown(wait=False)


class Deployer:
    """Holds the deployment in force. A change loads what is new beside it and then takes its place; a change that fails
    leaves everything as it was."""

    def __init__(self, folder: Path, environment_names: tuple[str, ...]) -> None:
        self._folder = folder
        self._environment = {name: os.environ[name] for name in environment_names if name in os.environ}
        self._changing = asyncio.Lock()
        self._current: Deployment | None = None

    @property
    def current(self) -> Deployment:
        assert self._current is not None, "nothing is deployed yet"
        return self._current

    def deploy_first(self, config: ServingConfig) -> None:
        """Load everything before the first request. LoadError when a model cannot be loaded."""
        self._current = Deployment(config, _load_all(config, {}))

    async def change(self, config: ServingConfig, environment: Mapping[str, str], seconds: float) -> None:
        """Serve ``config`` from now on, under ``environment``. LoadError, or TimeoutError after ``seconds``: what was served still is."""
        async with self._changing:
            old = self.current
            before, same_environment = self._environment, dict(environment) == self._environment
            kept = {(s.settings.uri, s.settings.digest): s.model for s in old.variants.values()} if same_environment else {}
            config = replace(config, environment_names=tuple(sorted(environment)))
            self._set_environment(environment)
            try:
                async with asyncio.timeout(seconds):
                    models = await asyncio.to_thread(_load_all, config, kept)
                await asyncio.to_thread(write_config, self._folder, config)
            except BaseException:
                self._set_environment(before)
                raise
            self._current = Deployment(config, models)
            old.release()

    def _set_environment(self, wanted: Mapping[str, str]) -> None:
        for name in self._environment.keys() - wanted.keys():
            os.environ.pop(name, None)
        os.environ.update(wanted)
        self._environment = dict(wanted)


def _load_all(config: ServingConfig, kept: Mapping[tuple[str, str], Model]) -> dict[str, Model]:
    """The models by variant; each content is loaded once, and not at all when it is among ``kept``."""
    loaded = dict(kept)
    for name, variant in config.variants.items():
        content = (variant.uri, variant.digest)
        if content not in loaded:
            loaded[content] = load(variant.path, f"variant {name} ({variant.uri})")
    return {name: loaded[v.uri, v.digest] for name, v in config.variants.items()}
