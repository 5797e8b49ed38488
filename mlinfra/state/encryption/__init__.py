"""Encryption of the state: its settings, where its key comes from, and the store that encrypts every blob."""
