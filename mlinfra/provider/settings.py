"""A provider's settings, checked: by its model, or at sight.

The model is pydantic's. To import it takes 0.1 s and 11 MB, as much as all the rest of a small plan, and most settings are a region and
little more: a provider may say which of them a look tells to be right. Whatever else is written is for the model, which alone says what
is wrong with it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mlinfra.model.values import Map, reveal, thaw
from mlinfra.provider.contract import KnowsAtSight, Provider


def known(provider: Provider, written: Map) -> Map | None:
    """All settings of a provider, as its model would give them; None where the model must look at what is written."""
    if not isinstance(provider, KnowsAtSight):
        return None
    told = {name: value for name, value in written.items() if name not in provider.defaults or provider.defaults[name] != value}
    if all(name in provider.at_sight and provider.at_sight[name](value) for name, value in told.items()):
        return Map({**provider.defaults, **told})
    return None


def configured(provider: Provider, settings: Map) -> Any:
    """What a provider connects with: an object of its model, or one with the same attributes. pydantic's ValidationError for what the
    model does not take."""
    right = known(provider, settings)
    return SimpleNamespace(**right) if right is not None else provider.config.model_validate(thaw(reveal(settings)))
