"""Where a module from git is: ``git::URL//path?ref=TAG``, Terraform's way of writing it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from mlinfra.model.dataclass import dataclass
from mlinfra.model.patterns import pattern

PREFIX = "git::"
EXAMPLE = "git::https://host/team/modules.git//rag?ref=v1.2.0"
_REF = pattern(r"[A-Za-z0-9_][A-Za-z0-9_.+@/-]*\Z")
_COMMIT = pattern(r"[0-9a-f]{40}([0-9a-f]{24})?\Z")
_PASSWORD = pattern(r"[a-z+]+://[^/@]*:[^/@]*@", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GitSource:
    """``url`` as git takes it; ``path`` the module's folder in the repository, ``""`` for its root; ``ref`` a tag, branch or
    whole commit id, ``""`` for the default branch."""

    url: str
    path: str = ""
    ref: str = ""

    @property
    def pin(self) -> str:
        """What ``mlinfra.lock`` files it under: modules of one repository and ref stand at one commit."""
        return f"{PREFIX}{self.url}" + (f"?ref={self.ref}" if self.ref else "")

    @property
    def commit(self) -> str:
        """The commit that it names itself, if any."""
        return self.ref if _COMMIT.match(self.ref) else ""


def parse(source: str) -> GitSource:
    """The parts of ``source``, which begins with PREFIX. ValueError, with a sentence for people, for what is not to be fetched."""
    rest, _, query = source.removeprefix(PREFIX).partition("?")
    begin = rest.find("://") + 3 if "://" in rest else 0
    behind, _, path = rest[begin:].partition("//")
    url = rest[:begin] + behind
    ref = ""
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key != "ref":
            raise ValueError(f"a git source takes ref, not {key!r}")
        ref = value
    if not url or url.startswith("-") or "::" in url or any(c.isspace() for c in source):
        raise ValueError(f"{source!r} is no address of a git repository")
    if _PASSWORD.match(url):
        raise ValueError("an address is no place for credentials: use a git credential helper, or ssh")
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"the path {path!r} must lie in the repository")
    if "ref=" in query and (not _REF.match(ref) or ".." in ref):
        raise ValueError(f"{ref!r} is no tag, branch or commit")
    return GitSource(url, path.strip("/"), ref)
