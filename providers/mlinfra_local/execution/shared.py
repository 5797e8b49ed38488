"""What several runs share below the data folder: code packs and Python environments, each known by what it was made of.

A run is entered as a user of each (``AREA/.users/DIGEST/RUN``); when its resource is deleted, what nobody else uses goes too.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from mlinfra.provider import files
from mlinfra.provider.failures import Invalid
from mlinfra.provider.progress import say
from mlinfra_local.client import LocalClient
from mlinfra_local.execution import store
from mlinfra_local.execution.process import finish_guarded, start_guarded
from mlinfra_local.execution.scratch import locked, locked_now, remove_empty, scratch

CODE = "code"
ENVIRONMENTS = "environments"


def pack(client: LocalClient, path: str, digest: str, user: str) -> Path:
    """The folder that holds the code ``path`` (relative to the spec) as it had ``digest``: copied once, then kept, so that a
    rollback runs old code. Invalid when it is not kept and the code no longer has that digest. Blocks; call it in a thread."""
    parent = client.data.resolve() / CODE
    folder = parent / store.short(digest)
    with locked_now(parent / ".lock"):
        _enter(parent, folder.name, user)
        kept = store.check(parent, digest)
        if kept is None or kept.digest != digest:
            try:
                selected = files.select(client.base, path, "code", client.excluded)
            except OSError as error:
                raise Invalid(f"the code {path!r} cannot be read: {error.strerror}") from error
            with scratch(parent) as temporary:
                store.copy(parent, selected, digest, temporary.folder / "pack", what=f"the code {path!r}")
    return folder


async def environment(client: LocalClient, requirements: tuple[str, ...], user: str) -> Path:
    """The folder of programs of a virtual environment with these requirements (``pip``'s syntax); made once.

    Invalid, with pip's last lines, when they cannot be installed. pip's own settings (index, proxies) hold."""
    text = "\n".join(requirements)
    name = hashlib.sha256(f"{sys.version}\n{sys.executable}\n{text}".encode()).hexdigest()[: store.SHORT]
    parent = client.data.resolve() / ENVIRONMENTS
    folder = parent / name
    programs = folder / "bin"
    done = folder / "mlinfra-complete"
    with locked_now(parent / ".lock"):
        _enter(parent, name, user)
    async with locked(parent / f".{name}.lock") as lock:
        if not done.exists():
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            say(f"making a Python environment with {len(requirements)} requirements")
            await _tool((sys.executable, "-m", "venv", str(folder)), parent, lock)
            listing = folder / "requirements.txt"
            listing.write_text(text + "\n")
            install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(listing))
            await _tool((str(programs / "python"), *install), parent, lock)
            done.touch()
    return programs


def release(client: LocalClient, user: str) -> None:
    """Strike the run off; remove the packs and environments that it was the last to use. Blocks; call it in a thread."""
    for area in (CODE, ENVIRONMENTS):
        parent = client.data.resolve() / area
        if not parent.is_dir():
            continue
        with locked_now(parent / ".lock"):
            for users in (parent / ".users").glob("*/"):
                (users / quote(user, safe="")).unlink(missing_ok=True)
                remove_empty(users)
                if not users.exists():
                    store.drop(parent, users.name)
                    (parent / f".{users.name}.lock").unlink(missing_ok=True)
            remove_empty(parent / ".users")
            if not (parent / ".users").exists():
                shutil.rmtree(parent, ignore_errors=True)


def _enter(parent: Path, name: str, user: str) -> None:
    file = parent / ".users" / name / quote(user, safe="")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


async def _tool(command: tuple[str, ...], folder: Path, lock: int) -> None:
    lines: list[str] = []
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__")}
    process = await start_guarded(command, folder=folder, environment=environment, locks=(lock,))
    code = await finish_guarded(process, lines.append)
    if code:
        shown = "\n".join(f"    {line}" for line in lines[-20:])
        raise Invalid(f"the requirements cannot be installed (exit code {code}):\n{shown}")
