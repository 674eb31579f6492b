"""The version, which the build, `--version` and the `x-emulator` header read."""

VERSION = "0.1.0"
