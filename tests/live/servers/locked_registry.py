"""A registry that asks for a login and lets images be deleted, as the clouds' do."""

from __future__ import annotations

import crypt
import json
from pathlib import Path

from live.servers.registry import Registry

USER, PASSWORD = "AWS", "123456789012-auth-token"
"""What moto's ECR gives out as a token."""


class LockedRegistry(Registry):
    """Lets in ``USER`` with ``PASSWORD`` alone."""

    def start(self) -> None:
        config = Path(self._command[-1])
        settings = json.loads(config.read_text())
        users = config.with_name("htpasswd")
        users.write_text(f"{USER}:{crypt.crypt(PASSWORD, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=2**4))}\n")
        settings["auth"] = {"htpasswd": {"realm": "images", "path": str(users)}}
        settings["storage"]["delete"] = {"enabled": True}
        config.write_text(json.dumps(settings))
        super().start()
