"""How a registry is entered."""

from __future__ import annotations

from dataclasses import field

from mlinfra.model.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """``repository`` is where images are pushed to, host included (``1.dkr.ecr.eu-central-1.amazonaws.com/serve``), and may be another
    address than the one in their names (a private endpoint). ``plain``: HTTP without TLS, which Docker takes for this machine alone."""

    repository: str
    username: str = ""
    password: str = field(default="", repr=False)
    plain: bool = False

    @property
    def host(self) -> str:
        return self.repository.partition("/")[0]

    @property
    def name(self) -> str:
        """The repository's name in its registry."""
        return self.repository.partition("/")[2]
