#!/bin/sh
# Install the emulator into an environment of its own, beside the libraries of the project. Needs Python 3.11 or newer.
set -eu

prefix=${PREFIX:-/usr/local}
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "xai-emulator needs Python 3.11 or newer: add the feature ghcr.io/devcontainers/features/python" >&2
  exit 1
}
place=$prefix/share/xai-emulator
python3 -m venv --without-pip "$place"
python3 -m pip --python "$place/bin/python" install --quiet --no-cache-dir "${PACKAGE:-xai-emulator}"
mkdir -p "$prefix/bin"
ln -sf "$place/bin/xai-emulator" "$prefix/bin/xai-emulator"
