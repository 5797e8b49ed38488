"""What our own serving processes do when their folder is deleted under them: nobody could find them there any more."""

from __future__ import annotations

import os
import threading
import time

_POLL = 0.5


def end_with_folder() -> None:
    """End this process soon after its working directory, the service's folder, was deleted. One that was moved is still there."""
    threading.Thread(target=_watch, name="end-with-folder", daemon=True).start()


def _watch() -> None:
    while True:
        try:
            os.getcwd()  # noqa: PTH109  what matters is the call, and whether it fails
        except FileNotFoundError:
            os._exit(0)
        time.sleep(_POLL)
