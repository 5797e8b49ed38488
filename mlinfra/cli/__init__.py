"""The command line: reads arguments, calls :mod:`mlinfra.workflow`, renders what comes back. The only place that prints."""
