"""How to know the files that mlinfra writes where the user's code lies: they are no code."""

from __future__ import annotations

PLAN_MARK = "mlinfra-plan-file"
"""Stands within the first bytes of every file that holds a plan."""

DEBUG_LOG = "mlinfra-debug.log"
"""The name of the file that --debug writes."""

FETCHED = ".mlinfra/modules"
"""Where modules from git are kept, beside the spec."""
