"""Labels that say whose an object is: how ours are told from everybody else's, and found again after a crash."""

from __future__ import annotations

from collections.abc import Mapping

PROJECT = "mlinfra:project"
ENVIRONMENT = "mlinfra:env"
ADDRESS = "mlinfra:address"
OPERATION = "mlinfra:op"
HELPER = "mlinfra:helper"
"""On containers that live for one task of ours: which process started them (see :mod:`mlinfra_docker.helpers`)."""
_OURS = "mlinfra:"


def own(project: str, environment: str, address: str, token: str) -> dict[str, str]:
    """The labels of an object that the operation ``token`` makes for ``address``."""
    return {PROJECT: project, ENVIRONMENT: environment, ADDRESS: address, OPERATION: token}


def without_ours(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if not name.startswith(_OURS)}


def filters(**labels: str) -> dict[str, list[str]]:
    """A list call's filter: ``filters(op=token)``."""
    return {"label": [f"{_OURS}{name}={value}" for name, value in labels.items()]}
