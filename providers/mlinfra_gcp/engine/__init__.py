"""The table engine: a :class:`~mlinfra_gcp.table.Row` at work, over Google's resource patterns.

Resource names with parents, names that the client chooses, update masks and merge patches, etags, fingerprints and
metagenerations, requestId tokens, long-running operations, labels of ownership. https://google.aip.dev/general
"""
