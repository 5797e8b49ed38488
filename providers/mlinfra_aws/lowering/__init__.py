"""Portable kinds to native types, one a file."""
