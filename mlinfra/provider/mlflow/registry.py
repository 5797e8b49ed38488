"""A registry of MLflow as the native types see it: one on disk, or a server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from mlinfra.model.dataclass import dataclass

TAG = "mlinfra:"
"""Tags that begin so are ours: op, project, env, address, digest, version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    number: int
    source: str
    description: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """A registered model as MLflow holds it; ``aliases`` name → version number, ``versions`` by number."""

    name: str
    description: str
    tags: Mapping[str, str]
    aliases: Mapping[str, int]
    versions: Mapping[int, VersionRecord]


class Writer(Protocol):
    """Changes to the registry. Each raises a Failure when MLflow refuses."""

    def create_model(self, name: str, tags: Mapping[str, str], description: str) -> None: ...
    def update_model(self, name: str, description: str) -> None: ...
    def delete_model(self, name: str) -> None: ...
    def set_model_tag(self, name: str, key: str, value: str) -> None: ...
    def delete_model_tag(self, name: str, key: str) -> None: ...
    def create_version(self, model: str, source: str, tags: Mapping[str, str], description: str) -> int: ...
    def update_version(self, model: str, number: int, description: str) -> None: ...
    def delete_version(self, model: str, number: int) -> None: ...
    def set_version_tag(self, model: str, number: int, key: str, value: str) -> None: ...
    def delete_version_tag(self, model: str, number: int, key: str) -> None: ...
    def set_alias(self, model: str, alias: str, number: int) -> None: ...
    def delete_alias(self, model: str, alias: str) -> None: ...


class Registry(Protocol):
    """``name`` is its id. Methods block, and are called in threads."""

    name: str

    def state(self) -> str:
        """``ready``; ``down`` when what it holds cannot be told now but is still there; ``gone``."""

    def revive(self) -> bool:
        """Make one that is down answer again, so that something can be deleted from it. False when it cannot: what was built around
        its data is gone, and nobody but ``destroy`` would not build it again first."""

    def model(self, name: str) -> ModelRecord | None:
        """One registered model; None when it, or the registry, is not there."""

    def writing(self) -> AbstractContextManager[Writer]:
        """For changes: no other thread of ours is in between."""

    def keep(self, model: str, place: str, expected: str | None) -> str:
        """Copy the MLflow model folder at ``place`` (a path, or a URI of the target) into the registry, once per content; its digest.
        Invalid when it is no MLflow model, or when its bytes are not the ``expected`` ones."""

    def location(self, model: str, digest: str) -> str:
        """The copy as MLflow's clients name it."""

    def status(self, model: str, digest: str) -> str:
        """Of the copy: ``ready``, ``artifact missing``, or ``artifact changed``."""

    def retire(self, model: str, digest: str) -> None:
        """Of what no version refers to, this came last."""

    def prune(self, model: str) -> None:
        """Remove the copies that no version refers to, but for the last few: a rollback brings them back. All of them when the
        model itself is gone."""


def own_tags(project: str, environment: str, address: str, token: str, **more: str) -> dict[str, str]:
    """The tags that say whose this is."""
    tags = {"op": token, "project": project, "env": environment, "address": address, **more}
    return {f"{TAG}{name}": value for name, value in tags.items() if value}


def user_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without ours."""
    return {name: value for name, value in tags.items() if not name.startswith(TAG)}
