"""Azure, by Azure Resource Manager: see docs/azure.md."""
