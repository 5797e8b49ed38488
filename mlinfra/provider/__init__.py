"""The public contract for providers: a provider package imports this package, :mod:`mlinfra.model` and the kinds it lowers."""
