"""A registry that asks for a login and lets images be deleted, as the clouds' do."""

from __future__ import annotations

import json
from pathlib import Path

from live.servers.registry import Registry

USER, PASSWORD = "AWS", "123456789012-auth-token"
"""What moto's ECR gives out as a token."""
_HASHED = "$2b$04$lw5Qyi833CoIzDRq26yQI.VtwmdyZ4rXH1NM9MEccVCsSDF8NniYe"
"""The password in bcrypt, the one form that the registry takes."""


class LockedRegistry(Registry):
    """Lets in one ``user`` with one password, given in bcrypt."""

    def __init__(self, folder: Path, *, user: str = USER, hashed: str = _HASHED) -> None:
        self._users = f"{user}:{hashed}\n"
        super().__init__(folder)

    def start(self) -> None:
        config = Path(self._command[-1])
        settings = json.loads(config.read_text())
        users = config.with_name("htpasswd")
        users.write_text(self._users)
        settings["auth"] = {"htpasswd": {"realm": "images", "path": str(users)}}
        settings["storage"]["delete"] = {"enabled": True}
        config.write_text(json.dumps(settings))
        super().start()
