"""`python -m emulator` is the same as `xai-emulator`."""

from emulator.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
