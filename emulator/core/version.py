"""The version, said once: the build, `--version` and the `x-emulator` header read it here."""

VERSION = "0.1.0"
