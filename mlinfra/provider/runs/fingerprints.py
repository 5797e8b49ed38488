"""A run is a function of its fingerprint: the code, command, parameters, environment and the content of its inputs.

Secrets take part as digests keyed by a random ``key`` of the run's own: nobody can guess them from the fingerprint.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from mlinfra.model.values import EMPTY, Map, Secret, Value, freeze, is_known, leaves, thaw, transform


def fingerprint(
    *,
    code: str,
    command: str,
    params: Value = None,
    environment: Value = None,
    inputs: Value = None,
    more: Value = None,
    key: bytes = b"",
) -> str:
    """64 hex digits over everything that a run's result depends on. ``code`` is a digest; URIs of inputs name their content."""

    def plain(leaf: Value) -> Value:
        if isinstance(leaf, Secret):
            return "secret:" + hmac.new(key, str(leaf.reveal()).encode(), hashlib.sha256).hexdigest()
        return leaf

    parts = {"code": code, "command": command, "params": params, "env": environment, "inputs": inputs, "more": more}
    text = json.dumps(thaw(transform(freeze(parts), plain)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def of_job(attributes: Map, key: bytes = b"", *, more: Mapping[str, Value] = EMPTY) -> str:
    """Of a training job's attributes (see :func:`mlinfra.provider.runs.lowering.job`). Content counts, not where it lies: of a
    path the digest alone takes part. ``more`` is what the target adds (an image)."""
    requirements = attributes.get("requirements")
    return fingerprint(
        code=attributes["code"]["digest"],
        command=attributes["run"],
        params=attributes.get("params", EMPTY),
        environment=attributes.get("env", EMPTY),
        inputs={k: v["digest"] if isinstance(v, Mapping) else v for k, v in attributes.get("inputs", EMPTY).items()},
        more={
            "outputs": attributes.get("outputs", ()),
            "processes": attributes.get("processes", 1),
            "requirements": requirements["digest"] if isinstance(requirements, Mapping) else requirements,
            **more,
        },
        key=key,
    )


def of_pipeline(attributes: Map, key: bytes = b"") -> str:
    """Of a whole pipeline's attributes: code, environment and steps."""
    steps = {
        name: {k: v for k, v in step.items() if k not in ("timeout", "retries")} for name, step in attributes["steps"].items()
    }
    image = {"image": attributes["image"]} if attributes.get("image") is not None else None
    return fingerprint(
        code=str(attributes["code"]["digest"]),
        command="",
        environment=attributes.get("requirements", ()),
        inputs=steps,
        more=image,
        key=key,
    )


def predicted_of_pipeline(attributes: Map) -> str | None:
    """The same at plan time; None while something is unknown, and where a secret takes part (its key is not known then)."""
    parts = {k: attributes.get(k) for k in ("code", "steps", "requirements", "image")}
    if not is_known(parts) or any(isinstance(leaf, Secret) for _, leaf in leaves(parts)):
        return None
    return of_pipeline(attributes)
