"""Runs the user's code in containers: done once a fingerprint, its outputs kept by content in a volume."""
