"""The frozen nouns of mlinfra. Standard library only, no I/O, imports nothing else of ours."""
