"""The native types, one service a file."""
