"""Programs that run inside AWS's containers; standard library, and what those containers have."""
