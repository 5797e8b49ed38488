"""Microsoft Azure: a provider for mlinfra."""
