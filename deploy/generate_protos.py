"""Keep the generated code equal to the protos.

Owns how protos/gen is made from protos/credits, and how buf judges the protos: it is given descriptor images
made by the same protoc, because google/rpc is resolved from an installed package and not from a registry.

Without an option the generated code is written anew; `--check`, `--lint` and `--breaking REF` change nothing.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
PROTOS = ROOT / "protos"
SCRIPTS = Path(sysconfig.get_path("scripts"))
INCLUDES = (
    Path(grpc_tools.__file__).parent / "_proto",  # google/protobuf
    Path(status_pb2.__file__).parents[2],  # google/rpc
)


class ProtosRejected(Exception):
    """The protos could not be compiled, or no protos were found."""


def generate(protos: Path, output: Path) -> None:
    """Write the Python code, its stubs and the package files for all of `protos` under `output`."""
    run_protoc(
        protos,
        f"--plugin=protoc-gen-mypy={SCRIPTS / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={SCRIPTS / 'protoc-gen-mypy_grpc'}",
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet:{output}",
    )
    package = output / "credits"
    for directory in (package, *(path for path in package.rglob("*") if path.is_dir())):
        (directory / "__init__.py").touch()


def write_image(protos: Path, image: Path) -> None:
    """Write the descriptor image of `protos`, with comments and imports, for buf to read."""
    run_protoc(protos, "--include_imports", "--include_source_info", f"--descriptor_set_out={image}")


def run_protoc(protos: Path, *options: str) -> None:
    """Run protoc over every proto of ours; protoc itself tells on stderr what is wrong with one."""
    sources = sorted(str(path) for path in (protos / "credits").rglob("*.proto"))
    if not sources:
        raise ProtosRejected(f"no .proto file under {protos.name}/credits")
    includes = [f"-I{path}" for path in (protos, *INCLUDES)]
    if protoc.main(["protoc", *includes, *options, *sources]) != 0:
        raise ProtosRejected("protoc refused the protos")


def stale_files(expected: Path, actual: Path) -> list[Path]:
    """Return what differs, is missing or is left over in `actual`, as relative paths."""
    names = files_below(expected) | files_below(actual)
    return sorted(name for name in names if not same_content(expected / name, actual / name))


def files_below(directory: Path) -> set[Path]:
    """Return the relative path of every generated file below `directory`."""
    return {
        path.relative_to(directory)
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def same_content(left: Path, right: Path) -> bool:
    """Return whether both files exist and hold the same bytes."""
    return left.is_file() and right.is_file() and filecmp.cmp(left, right, shallow=False)


def update(protos: Path, scratch: Path) -> int:
    """Bring protos/gen up to date, touching only files that change."""
    generate(protos, scratch)
    generated = protos / "gen"
    stale = stale_files(scratch, generated)
    for name in stale:
        target = generated / name
        if (scratch / name).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(scratch / name, target)
        else:
            target.unlink()
    print(f"protos: {len(files_below(generated))} generated files, {len(stale)} changed")
    return 0


def check(protos: Path, scratch: Path) -> int:
    """Return 1 and list the stale files when protos/gen is not what the protos say."""
    generate(protos, scratch)
    stale = stale_files(scratch, protos / "gen")
    for name in stale:
        print(f"stale: {(protos / 'gen' / name).relative_to(protos.parent)}")
    if stale:
        print("run `make protos` and commit the result")
    return 1 if stale else 0


def lint(protos: Path, scratch: Path) -> int:
    """Return buf's verdict on the style of the protos."""
    image = scratch / "image.binpb"
    write_image(protos, image)
    return run_buf("lint", str(image), "--config", str(protos / "buf.yaml"))


def breaking(protos: Path, scratch: Path, reference: str) -> int:
    """Return buf's verdict on what changed since the git reference."""
    earlier, image, earlier_image = scratch / "earlier", scratch / "image.binpb", scratch / "earlier.binpb"
    archive = subprocess.run(
        ["git", "archive", reference, "--", protos.name], cwd=protos.parent, capture_output=True, check=False
    )
    if archive.returncode != 0:
        raise ProtosRejected(f"git has no {protos.name}/ at {reference}: {archive.stderr.decode().strip()}")
    earlier.mkdir()
    subprocess.run(["tar", "-x", "-C", str(earlier)], input=archive.stdout, check=True)
    write_image(protos, image)
    write_image(earlier / protos.name, earlier_image)
    return run_buf(
        "breaking", str(image), "--against", str(earlier_image), "--config", str(protos / "buf.yaml")
    )


def run_buf(*arguments: str) -> int:
    """Run the buf of this environment and return its exit code."""
    return subprocess.run([str(SCRIPTS / "buf"), *arguments], check=False).returncode


def main() -> int:
    """Do what the options say; the exit code is 0 when the protos are in order."""
    parser = argparse.ArgumentParser(prog="generate_protos", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="fail if protos/gen is not up to date")
    action.add_argument("--lint", action="store_true", help="run buf lint")
    action.add_argument("--breaking", metavar="REF", help="run buf breaking against a git reference")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        try:
            if options.breaking:
                return breaking(PROTOS, scratch, options.breaking)
            if options.lint:
                return lint(PROTOS, scratch)
            return (check if options.check else update)(PROTOS, scratch)
        except ProtosRejected as rejected:
            print(f"protos: {rejected}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main())
