"""What a container of Vertex AI runs of a run's archive, and what it gets to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlinfra.model.values import Value
from mlinfra.provider.runs import packed
from mlinfra.provider.runs.words import setting
from mlinfra_gcp.client import GcpClient

PACKAGE = "mlinfra_gcp"
GS = "gs://"


def describe(
    bucket: str, name: str, steps: Mapping[str, Any], inputs: Mapping[str, Mapping[str, str]], lines: tuple[str, ...]
) -> str:
    """``run.json``. Retries are Vertex AI's own (``retryPolicy``), which also helps when a machine is lost: none inside the container."""
    once = {step: {k: v for k, v in s.items() if k != "retries"} for step, s in steps.items()}
    return packed.describe(name, once, inputs, lines, place=bucket)


async def upload(client: GcpClient, bucket: str, code: Mapping[str, Any], run: str) -> str:
    """Put the archive of this code and description into the bucket, if it isn't there; its name."""
    return await packed.upload(client, PACKAGE, bucket, code, run, client.context.excluded)


def command(bucket: str, name: str, step: str) -> list[str]:
    """What the container runs of the archive ``name``, but for the name of the run, which comes as its last argument."""
    place = f"${{MLINFRA_GCS_ROOT:-/gcs}}/{bucket}/{name}"
    return ["/bin/sh", "-c", f'd=$(mktemp -d) && tar xzf "{place}" -C "$d" && exec python3 "$d/entry.py" {step} "$0"']


def environment(env: Mapping[str, Value]) -> list[dict[str, str]]:
    """Environment variables as Vertex AI takes them."""
    return [{"name": name, "value": setting(value)} for name, value in sorted(env.items())]
