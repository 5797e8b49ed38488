"""``state: {encryption: {key: …, whole: …, previous: […]}}``: checked, and what it says."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import StateError
from mlinfra.model.patterns import pattern
from mlinfra.model.values import thaw
from mlinfra.state.encryption.sources import Encryption, KeySource

SCHEMES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "env": (pattern(r"[A-Za-z_][A-Za-z0-9_]*\Z"), "env:MLINFRA_STATE_KEY"),
    "file": (pattern(r".+\Z", re.DOTALL), "file:/run/secrets/mlinfra-key"),
    "awskms": (pattern(r"[A-Za-z0-9:/_-]+\Z"), "awskms:alias/mlinfra"),
    "gcpkms": (
        pattern(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+\Z"),
        "gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ),
    "azurekv": (
        pattern(r"https://[^/\s]+/keys/[A-Za-z0-9-]+(?:/[0-9a-f]+)?/?\Z"),
        "azurekv:https://VAULT.vault.azure.net/keys/NAME",
    ),
}
"""What the text after ``scheme:`` looks like, and an example."""


class EncryptionSettings(BaseModel):
    """Where the state's key comes from, and how much of the state it encrypts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    key: str
    whole: bool = False
    previous: list[str] = []

    @field_validator("key")
    @classmethod
    def _check_key(cls, text: str) -> str:
        if sentence := problem_with(text):
            raise ValueError(sentence)
        return text

    @field_validator("previous")
    @classmethod
    def _check_previous(cls, texts: list[str]) -> list[str]:
        for text in texts:
            cls._check_key(text)
        return texts


def problem_with(text: str) -> str:
    """What is wrong with a key's source, as a sentence; ``""`` when it can be used. Never quotes what may be the key itself."""
    scheme, colon, where = text.partition(":")
    near = difflib.get_close_matches(scheme.lower(), SCHEMES, n=1)
    if not colon or (scheme not in SCHEMES and not near):
        return f"this is not where a key comes from; never write the key itself here, but like {SCHEMES['env'][1]}"
    if scheme not in SCHEMES:
        return f"there is no key source {scheme!r}; did you mean {near[0]!r}?"
    pattern, example = SCHEMES[scheme]
    return "" if pattern.match(where) else f"{scheme}: is followed by something else, like {example}"


def read_settings(given: object, base: Path) -> Encryption | None:
    """The encryption that a state block asks for; None when it has none. StateError with every problem, each with its path
    in the block."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        message, hint = "state.encryption must be a map", "like {key: env:MLINFRA_STATE_KEY}"
        raise StateError(Diagnostic(code="spec.bad_type", message=message, hint=hint, path=("encryption",)))
    try:
        settings = EncryptionSettings.model_validate(thaw(given))
    except ValidationError as error:
        raise StateError([_diagnostic(e) for e in error.errors(include_url=False)]) from None
    return Encryption(tuple(_source(text, base) for text in (settings.key, *settings.previous)), settings.whole)


def _diagnostic(error: Any) -> Diagnostic:
    place = ".".join(map(str, ("state", "encryption", *error["loc"])))
    match error["type"]:
        case "missing":
            code, message, hint = "spec.missing_key", f"{place} is missing", "like key: env:MLINFRA_STATE_KEY"
        case "extra_forbidden":
            code, message = "spec.unknown_key", f"state.encryption has no key {error['loc'][-1]!r}"
            near = difflib.get_close_matches(str(error["loc"][-1]), EncryptionSettings.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(EncryptionSettings.model_fields)}"
        case "value_error":
            code, message, hint = "spec.bad_value", f"{place}: {error['ctx']['error']}", ""
        case _:
            code, message, hint = "spec.bad_type", f"{place}: {error['msg'][:1].lower()}{error['msg'][1:]}", ""
    path = ("encryption", *(() if error["type"] == "missing" else error["loc"]))
    return Diagnostic(code=code, message=message, hint=hint, path=path)


def _source(text: str, base: Path) -> KeySource:
    scheme, _, where = text.partition(":")
    return KeySource(scheme, str(base / Path(where).expanduser()) if scheme == "file" else where.rstrip("/"))
