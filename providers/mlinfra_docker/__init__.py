"""The docker provider: everything on a Docker Engine, this machine's or a remote one."""
