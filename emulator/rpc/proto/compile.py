"""Compile the .proto files of this folder into descriptor sets, one of the contract and one of the infrastructure.

Run it after every change of a .proto file. It needs grpcio-tools; the emulator itself does not:

    python -m emulator.rpc.proto.compile
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
INFRASTRUCTURE_FOLDER = FOLDER / "infrastructure"  # health and reflection, which every gRPC server may have
COMMITTED = FOLDER / "descriptors.binpb"
INFRASTRUCTURE = FOLDER / "infrastructure.binpb"


def sources(folder: Path = FOLDER) -> list[str]:
    """Return every .proto file of a descriptor set under the name that the others import."""
    paths = (path for path in folder.rglob("*.proto") if folder != FOLDER or INFRASTRUCTURE_FOLDER not in path.parents)
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def compile_to(target: Path, folder: Path = FOLDER) -> None:
    """Write the sources and all of their imports into target, as one serialized FileDescriptorSet."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]  # it finds the well-known types
    arguments = [f"--proto_path={folder}", "--include_imports", f"--descriptor_set_out={target}"]
    subprocess.run([*protoc, *arguments, *sources(folder)], check=True)


if __name__ == "__main__":
    compile_to(COMMITTED)
    compile_to(INFRASTRUCTURE, INFRASTRUCTURE_FOLDER)
