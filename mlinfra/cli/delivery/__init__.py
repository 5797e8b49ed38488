"""The way from a pull request to a changed world, as the pipelines of Git hosts go it."""
