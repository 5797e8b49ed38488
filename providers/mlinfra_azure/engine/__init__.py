"""The table engine: a :class:`~mlinfra_azure.table.Row` at work, over ARM's uniform PUT, GET, PATCH and DELETE.

Ids with parents, names that the client chooses, tags of ownership, whole bodies that keep what others set, ETags, lists.
https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md
"""
