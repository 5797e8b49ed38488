"""Folders in a volume, kept by the digest of their content: ``PARENT/<first 12 digits>/``, and a list beside each.

The list (``<digits>.list``) holds the digest and how every file looks (size, times), so that a later check reads no byte of a file
that looks untouched. Every move is a rename: a folder of that name is whole. Digests are those of :mod:`mlinfra.provider.files`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from mlinfra.provider.failures import Failure, Invalid, Transient
from mlinfra.provider.files import SelectedFile
from mlinfra_docker.volumes import MOUNTED, Helper

SHORT = 12

_LOOK = "look() { (cd \"$1\" && find . -type f -exec stat -c '%s %y %z %n' {} + | sort); }\n"
_SUMS = "cd \"$1\"; find . -type f -exec sha256sum {} +; echo; find . -type f -exec stat -c '%s' {} +"


@dataclass(frozen=True, slots=True)
class Stored:
    """``digest`` is ``sha256:…`` in full; ``size`` in bytes."""

    digest: str
    size: int
    files: int


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHORT]


def keep_files(
    helper: Helper, volume: str, parent: str, selected: list[SelectedFile], planned: str | None, *, what: str
) -> Stored:
    """Copy local files into ``parent`` (a path inside the volume). Invalid when their digest is not the ``planned`` one of ``what``:
    they changed since the plan."""
    root = f"{MOUNTED}/{volume}/{parent}"
    odd = next((f.name for f in selected if "\n" in f.name), None)
    if odd is not None:
        raise Invalid(f"{odd!r} cannot be kept in a volume: its name has a line break")
    new = f"{root}/.new-{secrets.token_hex(6)}"
    try:
        helper.run('rm -rf "$1"/.new-*; mkdir -p "$2"', root, new)
        helper.put(new, ((f.name, f.path) for f in selected))
        return _settle(helper, root, new, planned, what)
    except BaseException:
        _discard(helper, new)
        raise


def keep_copy(helper: Helper, source: str, volume: str, parent: str, planned: str | None, *, what: str) -> Stored:
    """Copy a folder (an absolute path inside the helper) into ``parent``; hard links where both are in one volume."""
    root = f"{MOUNTED}/{volume}/{parent}"
    new = f"{root}/.new-{secrets.token_hex(6)}"
    try:
        helper.run('rm -rf "$1"/.new-*; mkdir -p "$1"; cp -a "$3" "$2"', root, new, source)
        return _settle(helper, root, new, planned, what)
    except BaseException:
        _discard(helper, new)
        raise


def keep_folder(helper: Helper, volume: str, parent: str, folder: str) -> Stored:
    """Move a folder of the same volume (an absolute path inside the helper) into ``parent``, whatever it holds."""
    return _settle(helper, f"{MOUNTED}/{volume}/{parent}", folder, None, folder)


def check(helper: Helper, volume: str, parent: str, digest: str) -> Stored | None:
    """What the folder of ``digest`` holds now: equal in digest when intact; None when there is no such folder."""
    root, name = f"{MOUNTED}/{volume}/{parent}", short(digest)
    script = (
        _LOOK + '[ -d "$1/$2" ] || { echo absent; exit 0; }; head -n 1 "$1/$2.list" 2>/dev/null || echo "{}"; '
        'look "$1/$2" > /tmp/look.$$; tail -n +2 "$1/$2.list" 2>/dev/null | cmp -s - /tmp/look.$$ && echo same || echo other; rm -f /tmp/look.$$'
    )
    answer = helper.run(script, root, name).splitlines()
    if answer == ["absent"]:
        return None
    if len(answer) < 2:
        raise Transient(f"the engine lost the answer of a step inside the volume {volume}")
    head = _head(answer[0])
    if answer[-1] == "same" and head is not None and head.digest == digest:
        return head
    found = _digest(helper, f"{root}/{name}")
    if found.digest == digest:
        _write_list(helper, root, found)
    return found


def kept(helper: Helper, volume: str, parent: str) -> list[str]:
    """The short names of all folders, the one that came last at the end."""
    root = f"{MOUNTED}/{volume}/{parent}"
    listed = helper.run(
        'cd "$1" 2>/dev/null || exit 0; ls -tr | while read -r n; do case $n in *.list) echo "${n%.list}";; esac; done', root
    )
    return [name for name in listed.split() if len(name) == SHORT]


def drop(helper: Helper, volume: str, parent: str, name: str) -> None:
    """Remove a folder of the store, by its short name, and its list."""
    root = f"{MOUNTED}/{volume}/{parent}"
    helper.run('mv "$1/$2" "$1/.new-$2" 2>/dev/null || true; rm -rf "$1/.new-$2" "$1/$2.list"', root, name)


def renew(helper: Helper, volume: str, parent: str, digest: str) -> None:
    """Take the folder of this digest for the one that came last."""
    helper.run('[ ! -f "$1" ] || touch "$1"', f"{MOUNTED}/{volume}/{parent}/{short(digest)}.list")


def _settle(helper: Helper, root: str, new: str, planned: str | None, what: str) -> Stored:
    found = _digest(helper, new)
    if planned is not None and found.digest != planned:
        raise Invalid(
            f"{what} changed since the plan was made: {short(planned)} was planned, {short(found.digest)} is there",
            hint="plan again",
        )
    script = 'if [ -d "$1/$3" ]; then mv "$1/$3" "$1/.new-$3-$$"; fi; mkdir -p "$1"; mv "$2" "$1/$3"; rm -rf "$1/.new-$3-$$"'
    helper.run(script, root, new, short(found.digest))
    _write_list(helper, root, found)
    return found


def _digest(helper: Helper, folder: str) -> Stored:
    """As :func:`mlinfra.provider.files.digest_files`, of files that the engine's machine reads."""
    sums, _, sizes = helper.run(_SUMS, folder).partition("\n\n")
    files = dict(sorted(_parsed(sums)))
    whole = hashlib.sha256()
    for name, content in files.items():
        whole.update(f"{name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return Stored(f"sha256:{whole.hexdigest()}", sum(map(int, sizes.split())), len(files))


def _parsed(sums: str) -> Iterator[tuple[str, str]]:
    for line in sums.splitlines():
        content, _, name = line.partition("  ")
        if name:
            yield name.removeprefix("./"), content


def _write_list(helper: Helper, root: str, stored: Stored) -> None:
    head = json.dumps({"digest": stored.digest, "size": stored.size, "files": stored.files})
    script = _LOOK + '{ echo "$3"; look "$1/$2"; } > "$1/.$2.new"; mv -f "$1/.$2.new" "$1/$2.list"'
    helper.run(script, root, short(stored.digest), head)


def _head(line: str) -> Stored | None:
    try:
        found = json.loads(line)
        return Stored(str(found["digest"]), int(found["size"]), int(found["files"]))
    except (ValueError, KeyError, TypeError):
        return None


def _discard(helper: Helper, folder: str) -> None:
    with suppress(Failure):
        helper.run('rm -rf "$1"', folder)
