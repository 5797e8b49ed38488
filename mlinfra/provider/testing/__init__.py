"""The contract suite: what every provider must do, as pytest tests that run against anybody's provider.

Subclass it in a test file, say what to make, and run pytest::

    class TestTextfile(ProviderContract):
        provider = TextfileProvider()
        samples = (Sample(type="textfile.file", create={"name": "a", "text": "1"}, update={"name": "a", "text": "2"}),)

Each test makes its own world: a spec's folder, a data folder, a connected client; what it made is deleted afterwards through
the provider itself. Calls are made as the engine makes them: recorded attributes come with secrets as digests, and an
exception that is no :class:`~mlinfra.provider.failures.Failure` fails the test. Needs pytest, which mlinfra itself does not.
"""

import pytest

pytest.register_assert_rewrite("mlinfra.provider.testing.contract")

from mlinfra.provider.testing.contract import ProviderContract  # noqa: E402
from mlinfra.provider.testing.world import Given, Portable, Sample, World  # noqa: E402

__all__ = ["Given", "Portable", "ProviderContract", "Sample", "World"]
