"""The image and the packages that a component's code runs with."""

from __future__ import annotations

from mlinfra.model.values import Value
from mlinfra.provider.contract import LoweringContext
from mlinfra_docker.runs.environment import OFFERED
from mlinfra_docker.settings import image


def image_of(given: Value, context: LoweringContext, *, part: str = "python") -> Value:
    """The image that the spec names, or the target's for this part."""
    return image(context.settings, part) if given is None else given


def requirements_of(given: Value, own_image: Value, *, plain: bool = False) -> Value:
    """What is installed on top: what the spec says, nothing on an image of the user's own or a ``plain`` one, else what every
    target offers."""
    if given is not None:
        return given
    return None if own_image is not None or plain else OFFERED
