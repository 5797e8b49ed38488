"""What people type, put into one shape before click sees it: Terraform's spellings, and options before the command. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mlinfra.model.dataclass import dataclass

FAMILIES = frozenset({"state"})
"""Commands whose next word is a command of theirs."""

_RENAMED = {"auto-approve": "yes", "chdir": "-C"}
_IGNORED = frozenset({"input", "compact-warnings"})
_TAKES_VALUE = frozenset(
    {
        "-C", "--env", "--var", "--var-file", "--target", "--exclude", "--out", "--replace", "--json-into", "--markdown", "--html",
        "--override-policy", "--cloud", "--branch", "--parallelism",
        "--lock-timeout", "--format", "--write",
    }
)  # fmt: skip
_FLAGS = frozenset(
    {
        "--yes", "--json", "--no-color", "--debug", "--destroy", "--refresh-only", "--no-refresh", "--server-check", "--detailed-exitcode",
        "--allow-data-loss", "--check", "--diff", "--raw", "--follow", "--force", "--repair", "--print",
        "--help",
    }
)  # fmt: skip
_KNOWN = _TAKES_VALUE | _FLAGS
_COMMANDS = {"force-unlock": ["state", "unlock"], "taint": ["state", "taint"], "untaint": ["state", "untaint"]}


@dataclass(frozen=True, slots=True)
class Arguments:
    """``words`` is what click gets; the rest is what error messages must know even when click refuses the words."""

    words: tuple[str, ...]
    directory: str = "."
    json: bool = False
    no_color: bool = False
    debug: bool = False


def normalise(argv: Sequence[str]) -> Arguments:
    """Translate Terraform's spellings (``-auto-approve``, ``-out=x``, ``-refresh=false``) and move options that stand before
    the command behind it. What comes after ``--`` is left alone; what is not known is left to click."""
    before: list[str] = []
    command: list[str] = []
    after: list[str] = []
    options: list[tuple[str, str]] = []
    wanted = 1
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            after += ["--", *words]
            break
        if word.startswith("-") and word != "-":
            option, value = _option(word)
            if option is None:
                continue
            if value is None and option in _TAKES_VALUE and words:
                value = words.pop(0)
            options.append((option, value or ""))
            (before if wanted else after).extend([option] if value is None else [option, value])
        elif wanted:
            command += [word] if command else _COMMANDS.get(word, [word])
            wanted = 1 if command == [word] and word in FAMILIES else 0
        else:
            after.append(word)
    given = dict(options)
    return Arguments(
        words=(*command, *before, *after),
        directory=given.get("-C") or ".",
        json="--json" in given,
        no_color="--no-color" in given,
        debug="--debug" in given,
    )


def _option(word: str) -> tuple[str | None, str | None]:
    """The option as click knows it, and the value that was glued to it; (None, None) when it says nothing."""
    if len(word) > 2 and word.startswith("-C"):
        return "-C", word[2:].removeprefix("=")
    if word in ("-h", "-C"):
        return ("--help" if word == "-h" else "-C"), None
    name, equals, text = word.lstrip("-").partition("=")
    value = text if equals else None
    if name in _IGNORED:
        return None, None
    if name == "refresh" and value in ("true", "false"):
        return ("--no-refresh", None) if value == "false" else (None, None)
    renamed = _RENAMED.get(name, name)
    option = renamed if renamed.startswith("-") else f"--{renamed}"
    if option not in _KNOWN:
        return word, None
    if option in _FLAGS and value is not None:
        if value == "true":
            return option, None
        return (None, None) if value == "false" else (word, None)
    return option, value
