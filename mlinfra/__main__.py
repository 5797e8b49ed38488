"""The entry point of the command ``mlinfra``. ``mlinfra version`` is answered here and imports nothing else."""

import sys


def main() -> int:
    """Run the command line of this process; the exit code: 0 done, 1 error, 2 changes, 3 refused, 4 locked, 5 stale,
    130 interrupted."""
    words = sys.argv[1:]
    if words in (["version"], ["--version"], ["-v"], ["-version"]):
        from mlinfra import __version__

        sys.stdout.write(f"mlinfra {__version__}\n")
        return 0
    try:
        import gc

        from mlinfra.model.garbage import hold_back

        hold_back()
        from mlinfra.cli.app import run

        try:
            return run(words)
        finally:
            gc.freeze()  # the process ends: Python's last collections would look through everything for nothing
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
