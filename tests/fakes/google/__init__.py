"""Google Cloud as its discovery documents describe it: an HTTP server for tests, which refuses what they do not allow.

It reads the whole documents that google-api-python-client carries, not the extract that the provider uses. Every request is
recorded; one that no document allows is refused and counted in ``invalid``.
"""

from fakes.google.server import Google, google

__all__ = ["Google", "google"]
