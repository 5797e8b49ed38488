"""YAML files to a :class:`~mlinfra.spec.document.Spec`: what was written, with the place of every value, nothing evaluated."""
