"""Run the command line with ``python -m fetalsynth``."""

from fetalsynth.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
