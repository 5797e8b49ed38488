"""Hints for misspelt words."""

from __future__ import annotations

from collections.abc import Iterable


def closest(word: str, options: Iterable[str]) -> str | None:
    """The option that ``word`` was most likely meant to be; None when none is near."""
    names = list(dict.fromkeys(options))
    folded = _fold(word)
    for name in names:
        if _fold(name) == folded:
            return name
    import difflib

    found = difflib.get_close_matches(word[:80], names, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, options: Iterable[str], *, allowed: str = "allowed", limit: int = 20) -> str:
    """``did you mean 'bucket'?`` when an option is near; otherwise ``allowed: a, b, c`` (at most ``limit``, in the order
    given); ``""`` when there are no options."""
    names = list(dict.fromkeys(options))
    near = closest(word, names)
    if near is not None:
        return f"did you mean {near!r}?"
    if not names:
        return ""
    more = f", … ({len(names) - limit} more)" if len(names) > limit else ""
    return f"{allowed}: {', '.join(names[:limit])}{more}"


def _fold(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "")
