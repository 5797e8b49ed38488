"""A plan as a file: gzipped JSON with a checksum. Secrets are sealed; whoever applies it supplies them again."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from pathlib import Path
from typing import Any

from mlinfra import __version__
from mlinfra.model.change import Action, AttributeChange, Change, Drift, Risk, RiskLevel
from mlinfra.model.component import Lifecycle
from mlinfra.model.cost import Cost
from mlinfra.model.dataclass import dataclass
from mlinfra.model.diagnostic import Diagnostic, Severity, Span
from mlinfra.model.errors import PlanError
from mlinfra.model.own_files import PLAN_MARK
from mlinfra.model.plan import Operation, OutputChange, Plan, Step
from mlinfra.model.policy import Effect, Verdict
from mlinfra.model.resource import Resource, ResourceState
from mlinfra.model.values import EMPTY, Map, Secret, SecretDigest, SecretRef
from mlinfra.state.codec import decode, encode
from mlinfra.state.sealing import Sealer

FORMAT = 1
_CLASSES: dict[str, type[Any]] = {
    c.__name__: c
    for c in (
        Plan,
        Change,
        AttributeChange,
        Risk,
        Cost,
        Step,
        OutputChange,
        Drift,
        Verdict,
        Diagnostic,
        Span,
        Resource,
        ResourceState,
        Lifecycle,
    )
}
_ENUMS: dict[str, type[StrEnum]] = {c.__name__: c for c in (Action, RiskLevel, Operation, Severity, Effect)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan with what history wants to know of its origin. ``digest`` (SHA-256) tells this file from any other, once it was read."""

    plan: Plan
    files: Mapping[str, str] = field(default_factory=dict)
    variables: Map = EMPTY
    digests: tuple[tuple[str, str, str, int, int, bool], ...] = ()
    secrets: Mapping[SecretRef, Secret | SecretDigest] = field(default_factory=dict)
    digest: str = ""


def write_plan(path: Path, content: PlanFile, sealer: Sealer) -> None:
    """Write it, readable by its owner only."""
    body = json.dumps(
        {
            "plan": _pack(content.plan, sealer),
            "files": dict(content.files),
            "variables": encode(sealer.seal(content.variables)),
            "digests": [list(d) for d in content.digests],
            "secrets": {ref.source: encode(sealer.seal(secret)) for ref, secret in content.secrets.items()},
        },
        separators=(",", ":"),
    )
    header = {"format": FORMAT, "mlinfra": __version__, "sha256": hashlib.sha256(body.encode()).hexdigest()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    packed = io.BytesIO()
    with gzip.GzipFile(PLAN_MARK, "wb", fileobj=packed, mtime=0) as file:
        file.write((json.dumps(header) + "\n" + body).encode())
    path.chmod(0o600)
    path.write_bytes(packed.getvalue())


def read_plan(path: Path) -> PlanFile:
    """PlanError when the file is no plan, was altered, or comes from a newer mlinfra."""
    try:
        first, _, body = gzip.decompress(path.read_bytes()).decode().partition("\n")
        header = json.loads(first)
        written_by = header["format"]
    except FileNotFoundError:
        raise _error("plan.no_file", f"there is no plan file {path}", "make one with: mlinfra plan --out FILE") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error):
        raise _error("plan.not_a_plan", f"{path} is no plan file", "make one with: mlinfra plan --out FILE") from None
    if written_by != FORMAT:
        raise _error(
            "plan.newer",
            f"{path} was written by mlinfra {header.get('mlinfra')}, in another format",
            "plan again with this version",
        )
    if hashlib.sha256(body.encode()).hexdigest() != header.get("sha256"):
        raise _error(
            "plan.altered",
            f"{path} was altered after it was written",
            "plan again; a plan is applied as it was approved, or not at all",
        )
    tree = json.loads(body)
    return PlanFile(
        plan=_unpack(tree["plan"]),
        files=tree["files"],
        variables=decode(tree["variables"]),
        secrets={SecretRef(source): decode(digest) for source, digest in tree.get("secrets", {}).items()},
        digests=tuple((d[0], d[1], d[2], d[3], d[4], d[5]) for d in tree["digests"]),
        digest=header["sha256"],
    )


def _error(code: str, message: str, hint: str) -> PlanError:
    return PlanError(Diagnostic(code=code, message=message, hint=hint))


def _pack(value: Any, sealer: Sealer) -> Any:
    """Our dataclasses as ``{"$class": name, …}``, enums as ``{"$enum": …}``, maps with tuple keys as pairs; all else as values."""
    if dataclasses.is_dataclass(value) and type(value).__name__ in _CLASSES:
        packed = {f.name: _pack(getattr(value, f.name), sealer) for f in dataclasses.fields(value)}
        return {"$class": type(value).__name__, **packed}
    if isinstance(value, StrEnum):
        return {"$enum": [type(value).__name__, value.value]}
    if isinstance(value, Map):
        return {"$value": encode(sealer.seal(value))}
    if isinstance(value, Mapping):
        return {"$pairs": [[_pack(k, sealer), _pack(v, sealer)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"$tuple": [_pack(v, sealer) for v in value]}
    return {"$value": encode(sealer.seal(value))} if isinstance(value, Secret) or _tagged(value) else value


def _tagged(value: Any) -> bool:
    return not isinstance(value, (str, int, float, bool, type(None)))


def _unpack(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "$class" in tree:
        return _CLASSES[tree["$class"]](**{k: _unpack(v) for k, v in tree.items() if k != "$class"})
    if "$enum" in tree:
        name, value = tree["$enum"]
        return _ENUMS[name](value)
    if "$pairs" in tree:
        return {_unpack(k): _unpack(v) for k, v in tree["$pairs"]}
    if "$tuple" in tree:
        return tuple([_unpack(v) for v in tree["$tuple"]])
    return decode(tree["$value"])
