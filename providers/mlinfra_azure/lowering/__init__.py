"""Portable kinds to Azure's native types, one a file."""
