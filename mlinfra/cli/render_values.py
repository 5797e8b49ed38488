"""Values as people read them: ``"text"``, ``{a = 1}``, ``(known after apply)``, ``(sensitive)``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from json.encoder import encode_basestring

from mlinfra.cli.terminal import harmless
from mlinfra.model.patterns import pattern
from mlinfra.model.values import DEFERRED, Expr, Map, Path, Ref, Secret, SecretDigest, Value

UNKNOWN_TEXT = "(known after apply)"
SENSITIVE_TEXT = "(sensitive)"
LONGEST = 400
"""Characters of one string that are shown; the rest is counted."""

_DIGEST = pattern(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_BARE = pattern(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def key_text(key: str) -> str:
    """A map key, quoted only when it must be."""
    return key if _BARE.match(key) else quoted(key)


def quoted(text: str) -> str:
    """A string between quotes, on one line, cut when it is very long; of a whole SHA-256 its beginning is enough."""
    if "sha256:" in text:
        text = _DIGEST.sub(r"\1…", text)
    if len(text) > LONGEST:
        return f'{encode_basestring(harmless(text[:LONGEST]))[:-1]}…" ({len(text):,} characters)'
    return harmless(encode_basestring(text))


def inline(value: Value, *, sources: bool = False) -> str:
    """The value on one line. ``sources`` shows references and expressions as they were written instead of as unknown."""
    if isinstance(value, str):
        return quoted(value)
    if value is True or value is False:
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, (Secret, SecretDigest)):
        return SENSITIVE_TEXT
    if isinstance(value, DEFERRED):
        return source_text(value) if sources else UNKNOWN_TEXT
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(k)} = {inline(v, sources=sources)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join([inline(v, sources=sources) for v in value]) + "]"
    return harmless(str(value))


def source_text(value: Value) -> str:
    """A deferred leaf as the spec writes it: ``${raw.uri}``."""
    if isinstance(value, Ref):
        return harmless(f"${{{value}}}")
    return harmless(value.source) if isinstance(value, Expr) else UNKNOWN_TEXT


def block(value: Value, width: int, *, indent: str = "", sources: bool = False) -> list[str]:
    """The value on as many lines as it needs. The first follows ``name = ``; the others are indented by ``indent``."""
    if isinstance(value, str) and "\n" in value and value.strip():
        lines = harmless(value).removesuffix("\n").split("\n")
        return ["<<-EOT", *(f"{indent}    {line}" for line in lines), f"{indent}EOT"]
    text = inline(value, sources=sources)
    if len(text) <= width or not isinstance(value, (Mapping, tuple, list)) or not value:
        return [text]
    inner = indent + "    "
    lines = []
    if isinstance(value, Mapping):
        longest = max(len(key_text(k)) for k in value)
        for key, child in value.items():
            name = key_text(key).ljust(min(longest, 30))
            first, *rest = block(child, width - len(name) - 7, indent=inner, sources=sources)
            lines += [f"{inner}{name} = {first}", *rest]
        return ["{", *lines, indent + "}"]
    for child in value:
        first, *rest = block(child, width - 5, indent=inner, sources=sources)
        lines += [f"{inner}{first}", *rest]
        lines[-1] += ","
    return ["[", *lines, indent + "]"]


def around_difference(before: str, after: str, room: int = 80) -> tuple[str, str]:
    """Two long strings, cut to the part where they begin to differ; ``…`` stands for what was cut."""
    if max(len(before), len(after)) <= room:
        return before, after
    start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    start = max(0, start - room // 4)

    def cut(text: str) -> str:
        end = start + room
        return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")

    return cut(before), cut(after)


def masked(value: Value, sensitive: Collection[Path], path: Path = ()) -> Value:
    """The same tree with a Secret at each of the ``sensitive`` paths."""
    if path in sensitive:
        return Secret(None)
    if isinstance(value, Mapping):
        return Map({k: masked(v, sensitive, (*path, k)) for k, v in value.items()})
    if isinstance(value, (tuple, list)):
        return tuple([masked(v, sensitive, (*path, i)) for i, v in enumerate(value)])
    return value
