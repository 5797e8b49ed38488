"""Portable kinds to native resources of this provider, one kind a file. Pure functions."""
