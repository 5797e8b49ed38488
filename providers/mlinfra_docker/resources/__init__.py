"""Native types of this provider, one type or family a file."""
