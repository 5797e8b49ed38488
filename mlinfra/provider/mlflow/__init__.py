"""What every target shares whose models are kept in MLflow: registered models, their versions, their aliases.

registry   what a target's registry must be able to do, and what it holds
types      base classes of the native types ``X.model``, ``X.model_version``, ``X.model_aliases``
lowering   the portable kind ``model`` to them
"""
