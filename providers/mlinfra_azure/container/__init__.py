"""What travels to Azure's containers."""
