"""Compile the .proto files of this folder into descriptors.binpb.

Run it after every change of a .proto file; it needs grpcio-tools, the running emulator does not:

    python -m emulator.rpc.proto.compile
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
COMMITTED = FOLDER / "descriptors.binpb"


def sources() -> list[str]:
    """Name every .proto file of this folder the way the others import it."""
    return sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*.proto"))


def compile_to(target: Path) -> None:
    """Write the sources and all they import into target, as one serialized FileDescriptorSet."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]  # it knows where the well-known types are
    arguments = [f"--proto_path={FOLDER}", "--include_imports", f"--descriptor_set_out={target}"]
    subprocess.run([*protoc, *arguments, *sources()], check=True)


if __name__ == "__main__":
    compile_to(COMMITTED)
