"""mlinfra: declarative infrastructure for machine learning. Importing this package imports nothing else."""

__version__ = "0.1.0"
