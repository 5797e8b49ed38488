"""Where ``secret("…")`` finds its value: env, file, AWS Secrets Manager, Google Secret Manager, Azure Key Vault.

Plan fetches to compare digests, apply fetches to hand the value to a provider; nothing is ever written. A source is asked once
a run, all of them at the same time.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from mlinfra.model.loops import a_loop, asyncio
from mlinfra.model.patterns import pattern
from mlinfra.model.values import Secret, SecretRef
from mlinfra.state.cloud_access import CloudRefused, aws_call, azure_call, google_call

_PATTERNS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "env": (pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z"), "env:DB_PASSWORD"),
    "file": (pattern(r".+\Z", re.DOTALL), "file:/run/secrets/db_password"),
    "awssm": (pattern(r"[A-Za-z0-9:/_+=.@-]+(?:#.+)?\Z"), "awssm:prod/db#password"),
    "gcpsm": (pattern(r"projects/[^/#]+/secrets/[^/#]+(?:/versions/[^/#]+)?(?:#.+)?\Z"), "gcpsm:projects/P/secrets/S/versions/latest"),
    "azurekv": (
        pattern(r"https://[^/\s#]+/secrets/[A-Za-z0-9-]+(?:/[0-9a-f]+)?(?:#.+)?\Z"),
        "azurekv:https://VAULT.vault.azure.net/secrets/NAME",
    ),
}  # fmt: skip
SCHEMES = tuple(_PATTERNS)
LOCAL = frozenset({"env", "file"})
"""The schemes that need no network: they are read even by an offline plan."""


def example(scheme: str = "env") -> str:
    """How a source of this scheme is written."""
    return _PATTERNS[scheme][1]


def is_written_well(source: str) -> bool:
    """Whether what follows the scheme of ``source`` is what the scheme takes. The scheme must be one of SCHEMES."""
    scheme, _, where = source.partition(":")
    return _PATTERNS[scheme][0].match(where) is not None


def is_local(ref: SecretRef) -> bool:
    return ref.source.partition(":")[0] in LOCAL


async def fetch(
    refs: Iterable[SecretRef], base: Path, environ: Mapping[str, str] | None = None
) -> tuple[dict[SecretRef, Secret], dict[SecretRef, CloudRefused]]:
    """The secrets, and why the others cannot be had. Paths are relative to ``base``."""
    wanted = list(dict.fromkeys(refs))
    around = os.environ if environ is None else environ

    def one(ref: SecretRef) -> Secret | CloudRefused:
        scheme, _, where = ref.source.partition(":")
        try:
            if scheme == "env":
                return Secret(_variable(where, around))
            if scheme == "file":
                return Secret(_file(base / Path(where).expanduser()))
            return Secret(_remote(scheme, where))
        except CloudRefused as error:
            return error

    if not wanted:
        return {}, {}
    await a_loop()
    found = await asyncio.gather(*[asyncio.to_thread(one, ref) for ref in wanted])
    secrets = {ref: answer for ref, answer in zip(wanted, found, strict=True) if isinstance(answer, Secret)}
    refused = {ref: answer for ref, answer in zip(wanted, found, strict=True) if isinstance(answer, CloudRefused)}
    return secrets, refused


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise CloudRefused(f"the environment variable {name} is not set")
    return environ[name]


def _file(path: Path) -> str:
    """Its text, without the line break that editors leave at the end."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise CloudRefused("it is no text", "encode it, in base64 for example") from None
    except OSError as error:
        raise CloudRefused(f"it cannot be read: {error.strerror}") from None
    return text[:-1] if text.endswith("\n") and text.count("\n") == 1 else text


def _remote(scheme: str, where: str) -> str:
    name, hash_mark, key = where.partition("#")
    text = _SERVICES[scheme](name)
    if not hash_mark:
        return text
    try:
        tree = json.loads(text)
    except ValueError:
        raise CloudRefused(f"it is no JSON, so it has no key {key!r}", "leave #… out, or store a JSON object") from None
    if not isinstance(tree, dict) or key not in tree:
        raise CloudRefused(f"it has no key {key!r}")  # its other keys are not named: they are part of the secret
    value = tree[key]
    return value if isinstance(value, str) else json.dumps(value)


def _aws(name: str) -> str:
    answer = aws_call("secretsmanager", "get_secret_value", name, SecretId=name)
    return _text(bytes(answer["SecretBinary"])) if "SecretString" not in answer else str(answer["SecretString"])


def _google(name: str) -> str:
    path = name if "/versions/" in name else f"{name}/versions/latest"
    answer = google_call("secretmanager", "GET", f"{path}:access")
    return _text(base64.b64decode(answer["payload"]["data"]))


def _azure(address: str) -> str:
    return str(azure_call("GET", address)["value"])


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CloudRefused("it is no text", "store it encoded, in base64 for example") from None


_SERVICES: Mapping[str, Callable[[str], str]] = {"awssm": _aws, "gcpsm": _google, "azurekv": _azure}
