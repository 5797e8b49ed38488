"""Container images of AWS's own that user code and models run in, where the spec names none.

Registries and tags: https://aws.github.io/deep-learning-containers/reference/available_images/ (read 2026-11). A setting
``images: {…}`` replaces any of them: companies with mirrors need it.
"""

from __future__ import annotations

from mlinfra.model.values import EMPTY, Map
from mlinfra.provider.contract import LoweringContext

_ACCOUNT = "763104351884"
_OTHER_ACCOUNTS = {
    "af-south-1": "626614931356", "ap-east-1": "871362719292", "ap-northeast-3": "364406365360", "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896", "ap-southeast-4": "457447274322", "ca-west-1": "204538143572", "eu-central-2": "380420809688",
    "eu-south-1": "692866216735", "eu-south-2": "503227376785", "il-central-1": "780543022126", "me-central-1": "914824155844",
    "me-south-1": "217643126080",
}  # fmt: skip

IMAGES = {
    "cpu": "pytorch-training:2.5.1-cpu-py311-ubuntu22.04-sagemaker",
    "gpu": "pytorch-training:2.5.1-gpu-py311-cu124-ubuntu22.04-sagemaker",
    "neuron": "pytorch-training-neuronx:2.5.1-neuronx-py310-sdk2.21.0-ubuntu22.04",
    "serving": "pytorch-inference:2.5.1-cpu-py311-ubuntu22.04-sagemaker",
    "serving-gpu": "pytorch-inference:2.5.1-gpu-py311-cu124-ubuntu22.04-sagemaker",
}


def image(context: LoweringContext, name: str, region: str) -> str:
    """The image that runs ``cpu``, ``gpu`` or ``neuron`` code, or serves models (``serving``, ``serving-gpu``)."""
    chosen = context.settings.get("images", EMPTY)
    if isinstance(chosen, Map) and isinstance(chosen.get(name), str):
        return str(chosen[name])
    return f"{_OTHER_ACCOUNTS.get(region, _ACCOUNT)}.dkr.ecr.{region}.amazonaws.com/{IMAGES[name]}"


def for_accelerator(accelerator: str) -> str:
    """Which of the images for user code fits the hardware."""
    if accelerator.startswith(("Trainium", "Inferentia")):
        return "neuron"
    return "gpu" if accelerator else "cpu"
