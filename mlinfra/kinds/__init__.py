"""The portable kinds: one file a kind, pydantic models of what the user may write. May import :mod:`mlinfra.model` only."""
