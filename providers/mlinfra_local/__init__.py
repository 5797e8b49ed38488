"""The embedded provider: everything on this machine, with nothing but pip-installable parts."""
