"""Which local files belong to a path of the spec, and their digest: the same on every machine that holds the same bytes.

Mode ``data`` takes every byte. Mode ``code`` takes what a program needs: ``.gitignore`` and ``.mlinfraignore`` (of the
spec's folder and below) are honoured, and hidden folders, caches, environments, build leftovers and the ``excluded`` paths
are left out; so is what mlinfra itself writes: saved plans (known by PLAN_MARK), its debug log, and the file that its own output goes
to. Otherwise saving a plan beside the code would change the code that it was made for. The folder ``.mlinfra`` of the spec is ours
and never counts.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from mlinfra.model.dataclass import dataclass, replace
from mlinfra.model.own_files import DEBUG_LOG, FETCHED, PLAN_MARK
from mlinfra.model.patterns import pattern
from mlinfra.provider.contract import FileDigest

Mode = Literal["data", "code"]

_HEAD = 64
IGNORE_FILES = (".gitignore", ".mlinfraignore")
_CACHES = frozenset({"__pycache__", "node_modules", "venv"})
_CACHE_SUFFIXES = (".egg-info", ".pyc", ".pyo")


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """``name`` is relative to the selected folder, with ``/`` (of a single file: its own name); ``path`` is absolute."""

    name: str
    path: Path


def select(base: Path, path: str, mode: Mode = "data", excluded: tuple[str, ...] = ()) -> list[SelectedFile]:
    """The files of ``path`` (a file or folder, relative to ``base`` or absolute), sorted by name.

    ``excluded`` are files and folders relative to ``base`` that mode ``code`` leaves out. OSError when ``path``, or in mode
    ``data`` anything that a link below it points to, is not there. Links to folders are followed, but never in a circle.
    """
    base = _absolute(base)
    start = _absolute(base / path)
    if start.is_file():
        return [SelectedFile(start.name, start)]
    if not start.is_dir():
        raise FileNotFoundError(2, "no such file or folder", str(start))
    left_out = {base / ".mlinfra"}
    rules: tuple[_Rule, ...] = ()
    if mode == "code":
        left_out.update(_absolute(base / e) for e in excluded)
        if start != base and start.is_relative_to(base):
            top = _root_of(base, start)
            for folder in reversed([p for p in start.parents if p.is_relative_to(top)]):
                rules += _rules(folder)
    walk = _walk(start, "", mode, frozenset(left_out), rules, frozenset({os.path.realpath(start)}))
    return sorted(walk, key=lambda f: f.name)


def digest(base: Path, path: str, mode: Mode = "data", excluded: tuple[str, ...] = ()) -> FileDigest:
    """The digest of what :func:`select` gives. OSError when something cannot be read."""
    single = _absolute(base / path).is_file()
    return replace(digest_files(select(base, path, mode, excluded)), single=single)


def digest_files(files: list[SelectedFile]) -> FileDigest:
    """``sha256:…`` over the sorted names and the digest of each file's bytes; also the total of bytes and of files."""
    whole = hashlib.sha256()
    size = 0
    for file in sorted(files, key=lambda f: f.name):
        with file.path.open("rb") as handle:
            content = hashlib.file_digest(handle, "sha256").hexdigest()
            size += handle.tell()
        whole.update(f"{file.name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return FileDigest(f"sha256:{whole.hexdigest()}", size, len(files))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would lose the names that the user sees below a linked folder


def _root_of(base: Path, start: Path) -> Path:
    """The folder whose ignore files count: a fetched module is a tree of its own, though git ignores the folder it is kept in."""
    modules = base / FETCHED
    return modules / start.relative_to(modules).parts[0] if start.is_relative_to(modules) and start != modules else base


def _walk(
    folder: Path, prefix: str, mode: Mode, left_out: frozenset[Path], rules: tuple[_Rule, ...], above: frozenset[str]
) -> Iterator[SelectedFile]:
    if mode == "code":
        rules += _rules(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            name = prefix + entry.name
            is_folder = entry.is_dir()
            if path in left_out or (mode == "code" and (_is_leftover(entry.name, is_folder) or _ignored(path, is_folder, rules))):
                continue
            if is_folder:
                real = os.path.realpath(path)
                if real not in above:
                    yield from _walk(path, name + "/", mode, left_out, rules, above | {real})
            elif entry.is_file():
                if mode == "data" or not _is_ours(path):
                    yield SelectedFile(name, path)
            elif entry.is_symlink() and mode == "data":
                raise FileNotFoundError(2, "a link points to nothing", str(path))


def _is_leftover(name: str, is_folder: bool) -> bool:
    if is_folder:
        return name.startswith(".") or name in _CACHES or name.endswith(_CACHE_SUFFIXES)
    return name in IGNORE_FILES or name == DEBUG_LOG or name.endswith(_CACHE_SUFFIXES)


def _is_ours(path: Path) -> bool:
    with path.open("rb") as handle:
        return PLAN_MARK.encode() in handle.read(_HEAD) or any(_is_same_file(handle.fileno(), stream) for stream in (1, 2))


def _is_same_file(one: int, other: int) -> bool:
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:  # the stream is closed
        return False


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line of an ignore file; ``pattern`` matches paths relative to ``folder``."""

    folder: Path
    pattern: re.Pattern[str]
    keep: bool
    folders_only: bool


def _ignored(path: Path, is_folder: bool, rules: tuple[_Rule, ...]) -> bool:
    """git's rule: the last line that matches decides."""
    for rule in reversed(rules):
        if (is_folder or not rule.folders_only) and rule.pattern.match(path.relative_to(rule.folder).as_posix()):
            return not rule.keep
    return False


def _rules(folder: Path) -> tuple[_Rule, ...]:
    found: list[_Rule] = []
    for name in IGNORE_FILES:
        file = folder / name
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found.extend(rule for line in lines if (rule := _rule(folder, line)) is not None)
    return tuple(found)


def _rule(folder: Path, line: str) -> _Rule | None:
    text = re.sub(r"(?<!\\)\s+\Z", "", line)
    if not text or text.startswith("#"):
        return None
    keep = text.startswith("!")
    text = text[1:] if keep else text
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    try:
        pattern = re.compile(("" if anchored else "(?:.*/)?") + _regex(text.lstrip("/")) + r"\Z", re.DOTALL)
    except re.error:
        return None
    return _Rule(folder, pattern, keep, folders_only) if text else None


_TOKEN = pattern(
    r"(?P<any>(?:\A|(?<=/))\*\*/|(?<=/)\*\*\Z|\A\*\*\Z)|(?P<star>\*+)|(?P<one>\?)|(?P<set>\[!?\]?[^\]]*\])|\\?(?P<char>.)",
    re.DOTALL,
)


def _regex(pattern: str) -> str:
    """A gitignore pattern (https://git-scm.com/docs/gitignore, "pattern format") as a regular expression."""
    out = []
    for token in _TOKEN.finditer(pattern):
        if token["any"]:
            out.append("(?:.*/)?" if token["any"].endswith("/") else ".+")
        elif token["star"]:
            out.append("[^/]*")
        elif token["one"]:
            out.append("[^/]")
        elif token["set"]:
            body = token["set"][1:-1]
            out.append("[" + ("^" + body[1:] if body.startswith("!") else body).replace("\\", "\\\\") + "]")
        else:
            out.append(re.escape(token["char"]))
    return "".join(out)
