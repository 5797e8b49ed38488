"""Modules from git: fetched once, kept below ``.mlinfra/modules``, pinned to a commit in ``mlinfra.lock``.

A module that is there at its pinned commit needs no network. One that is not is fetched at the pinned commit, never at a newer one; a tag
that names another commit than the pinned one is refused, since somebody changed what was published.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlinfra.model.diagnostic import Diagnostic
from mlinfra.model.errors import SpecError
from mlinfra.model.own_files import FETCHED
from mlinfra.spec.git_source import GitSource
from mlinfra.spec.own_folder import make_own_folder
from mlinfra.spec.suggest import did_you_mean

LOCK = "mlinfra.lock"
MARK = ".mlinfra-module"
"""A file in every fetched module that says what it is. It is made last."""
TIMEOUT = 300
"""Seconds for one git command."""
_PROTOCOLS = "https:http:ssh:git:file"
"""What git may speak. Others (``ext::``) run commands."""
_VERSION = 1


class GitModules:
    """The modules from git of the spec in ``root``. ``files`` are the texts that were needed to find them, by name: with them beside
    the modules' own, a spec can be resolved elsewhere without the network."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pins: dict[str, str] | None = None
        self._fetched: dict[tuple[str, str], Path] = {}
        self.files: dict[str, str] = {}

    def folder(self, source: GitSource, call: str) -> Path:
        """The module's folder. ``call`` names the module block (``rag``, ``rag.inner``): each has a checkout of its own, so that the
        paths of its files stay when its version changes. SpecError when it cannot be had."""
        pins = self._read_lock()
        home = self._root / FETCHED / call
        pinned = pins.get(source.pin, "")
        if not pinned or self._mark(home) != _mark(source, pinned):
            commit = self._fetch(source, pinned, home)
            if commit != pinned:
                pins[source.pin] = commit
                self._write_lock(pins)
        commit = pins[source.pin]
        self._fetched[(source.url, commit)] = home
        self.files[(home / MARK).relative_to(self._root).as_posix()] = _mark(source, commit)
        self.files[LOCK] = _lock_text(pins)
        found = (home / source.path).resolve()
        if not found.is_dir() or not found.is_relative_to(home.resolve()):
            folders = [p.parent.relative_to(home).as_posix() for p in sorted(home.rglob("*.yaml"))]
            hint = did_you_mean(source.path, list(dict.fromkeys(f for f in folders if f != ".")), allowed="folders with a spec")
            raise _error("module.no_folder", f"there is no folder {source.path!r} in {_at(source)}", hint)
        return found

    def _mark(self, home: Path) -> str:
        try:
            return (home / MARK).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def _fetch(self, source: GitSource, pinned: str, home: Path) -> str:
        """Put the module at ``home``; the commit."""
        commit = source.commit or self._commit(source, pinned)
        try:
            modules = make_own_folder(self._root) / "modules"
            modules.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=modules) as temporary:
                fresh = Path(temporary) / "module"
                known = self._fetched.get((source.url, commit))
                if known is not None:
                    shutil.copytree(known, fresh, symlinks=True)
                else:
                    self._check_out(source, commit, bool(pinned), fresh)
                (fresh / MARK).write_text(_mark(source, commit))
                if home.exists():
                    home.rename(Path(temporary) / uuid.uuid4().hex)
                with suppress(FileExistsError):  # another run has just put the same there
                    fresh.rename(home)
        except OSError as error:
            raise _error("module.unwritable", f"{_at(source)} cannot be kept: {error.strerror or error}") from None
        return commit

    def _commit(self, source: GitSource, pinned: str) -> str:
        """The commit that the source stands at: the pinned one, which its tag must still name, or what it names now."""
        listed = _git("ls-remote", "--", source.url, cwd=self._root, source=source)
        refs = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
        tag = refs.get(f"refs/tags/{source.ref}^{{}}") or refs.get(f"refs/tags/{source.ref}")
        branch = refs.get(f"refs/heads/{source.ref}") if source.ref else refs.get("HEAD")
        if pinned and tag and tag != pinned:
            raise _error(
                "module.tag_moved",
                f"the tag {source.ref!r} of {source.url} was moved: {LOCK} pins {pinned[:12]}, and now it names {tag[:12]}",
                f"find out who moved it and why; to accept what it names now, delete its line from {LOCK}",
            )
        found = pinned or tag or branch
        if not found:
            names = [re.sub(r"\^\{\}$", "", n.split("/", 2)[2]) for n in refs if n.startswith(("refs/tags/", "refs/heads/"))]
            hint = did_you_mean(source.ref, list(dict.fromkeys(names)), allowed="tags and branches") if names else "it is empty"
            raise _error("module.no_ref", f"there is no tag or branch {source.ref or 'HEAD'!r} in {source.url}", hint)
        return found

    def _check_out(self, source: GitSource, commit: str, pinned: bool, fresh: Path) -> None:
        _git("init", "-q", str(fresh), cwd=self._root, source=source)
        if _try("fetch", "-q", "--depth=1", "--no-tags", "--", self._url(source), commit, cwd=fresh) != "":
            # a server that does not give out single commits
            everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
            _git("fetch", "-q", "--", self._url(source), *everything, cwd=fresh, source=source)
        said = _try("-c", "advice.detachedHead=false", "checkout", "-q", commit, cwd=fresh)
        if said:
            why = f"{LOCK} pins {_at(source)} to {commit[:12]}" if pinned else f"{_at(source)} is {commit[:12]}"
            hint = f"its history was rewritten; to take what is there now, delete its line from {LOCK}" if pinned else ""
            raise _error("module.no_commit", f"{why}, which is not in the repository: {said}", hint)
        shutil.rmtree(fresh / ".git")

    def _url(self, source: GitSource) -> str:
        """A path is relative to the spec, wherever git runs."""
        local = self._root / source.url
        return str(local.resolve()) if ":" not in source.url and local.exists() else source.url

    def _read_lock(self) -> dict[str, str]:
        if self._pins is not None:
            return self._pins
        known: Any = {}
        file = self._root / LOCK
        try:
            tree = json.loads(file.read_text())
            known = tree["modules"]
            if tree["version"] != _VERSION:
                raise _error("module.newer_lock", f"{LOCK} was written by a newer mlinfra", "install it")
            if not all(isinstance(v, str) and re.fullmatch(r"[0-9a-f]{40,64}", v) for v in known.values()):
                raise ValueError("a pin that is no commit")
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            hint = "restore it from version control; deleted, it is made anew with what the tags name now"
            raise _error("module.broken_lock", f"{LOCK} cannot be read: {error}", hint) from None
        self._pins = dict(known)
        return self._pins

    def _write_lock(self, pins: Mapping[str, str]) -> None:
        file = self._root / LOCK
        written = file.with_name(f".{LOCK}.{os.getpid()}")
        try:
            written.write_text(_lock_text(pins))
            written.replace(file)
        except OSError as error:
            raise _error("module.unwritable", f"{LOCK} cannot be written: {error.strerror}") from None


def _lock_text(pins: Mapping[str, str]) -> str:
    return json.dumps({"version": _VERSION, "modules": dict(sorted(pins.items()))}, indent=2) + "\n"


def _mark(source: GitSource, commit: str) -> str:
    return f"{source.url} {commit}\n"


def _at(source: GitSource) -> str:
    return f"{source.url} at {source.ref}" if source.ref else source.url


def _error(code: str, message: str, hint: str = "") -> SpecError:
    return SpecError(Diagnostic(code=code, message=message, hint=hint))


def _git(*words: str, cwd: Path, source: GitSource) -> str:
    """What the command prints. SpecError with what it complains of."""
    done = _run(words, cwd)
    if done.returncode:
        said = _complaint(done.stderr)
        hint = "check the address and that you may read it; git's own credential helpers and ssh keys are used"
        raise _error("module.unreachable", f"the module in {source.url} cannot be fetched: {said}", hint)
    return done.stdout


def _try(*words: str, cwd: Path) -> str:
    """What the command complains of; ``""`` when it worked."""
    done = _run(words, cwd)
    return (_complaint(done.stderr) or "git failed") if done.returncode else ""


def _run(words: tuple[str, ...], cwd: Path) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "LC_ALL": "C"}
    ssh = {"GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")}
    command = ["git", "-c", "core.hooksPath=/dev/null", *words]
    try:
        return subprocess.run(
            command, cwd=cwd, env={**inherited, **quiet, **ssh}, capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise _error("module.no_git", "modules from git need the git command, which is not installed") from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {TIMEOUT} s")


def _complaint(text: str) -> str:
    """git's own reason: its first fatal line, else its last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1] if lines else "")
    return re.sub(r"^(fatal|error): ", "", found)[:300]
