"""Regular expressions that are compiled when they are first used. A command uses few of them, and compiling all took a tenth of a
start-up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

__all__ = ["pattern"]

if TYPE_CHECKING:
    from re import compile as pattern
else:

    class pattern:
        """What ``re.compile`` gives of the same arguments, as soon as somebody asks for anything of it."""

        def __init__(self, text: str, flags: int = 0) -> None:
            self._made_of = (text, flags)

        def __getattr__(self, name: str) -> Any:
            found = getattr(re.compile(*self._made_of), name)
            setattr(self, name, found)  # the next time it is found at once
            return found
