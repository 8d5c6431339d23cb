"""`bazel run //model:load`: brings an image into podman, docker or containerd, or into a file.

The name that the image has there is printed alone on standard output, everything else on standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import caller_path, run_main
from chassis.errors import ChassisError
from chassis.oci.archive import write_archive
from chassis.oci.container_engine import NoEngineError, find_engine, load
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.reference import parse_reference
from chassis.whole_file import whole_file

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "OCI image layout directory to load.", required=True)
flags.DEFINE_string(
    "name", None, "What to call it, host/path[:tag]; the tag is `latest` if none is given.", short_name="t"
)
flags.DEFINE_string("output", "", "Write the archive to this file (`-` for standard output) instead.", short_name="o")
flags.DEFINE_string("engine", "", "podman, docker, nerdctl or ctr; the first that answers if none is given.")
flags.DEFINE_float("timeout", 600.0, "Seconds that the engine may take once it has the whole image.", lower_bound=0.001)


def main(argv: Sequence[str]) -> int:
    """Exit status 0 once the engine has the image, or the file is whole."""
    del argv
    if not FLAGS.name:
        raise ChassisError("no name: give one with --name host/path:tag, or in the oci_load target")
    reference = parse_reference(FLAGS.name)
    if reference.digest:
        raise ChassisError(f"name {FLAGS.name!r}: leave the digest out; it is the image's own")
    name = f"{reference.repository}:{reference.tag or 'latest'}"
    layout = LayoutReader(Path(FLAGS.image))
    if FLAGS.output == "-":
        write_archive(layout, name, sys.stdout.buffer)
        return 0
    if FLAGS.output:
        output = caller_path(FLAGS.output)
        digest = _write_file(layout, name, output)
        print(f"{name} ({digest}) written to {output}", file=sys.stderr)
    else:
        try:
            engine = find_engine(FLAGS.engine)
        except NoEngineError as error:
            raise NoEngineError(f"{error}, or write the image into a file with: -- --output image.tar") from None
        digest, said = load(engine, lambda stream: write_archive(layout, name, stream), FLAGS.timeout)
        print(f"{engine.name}: {said}\n{name} ({digest}) loaded into {engine.name}", file=sys.stderr)
    print(name)
    return 0


def _write_file(layout: LayoutReader, name: str, output: Path) -> str:
    """Writes the archive to `output`, whole or not at all."""
    try:
        with whole_file(output) as stream:
            return write_archive(layout, name, stream)
    except OSError as error:
        raise ChassisError(f"{output}: cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    run_main(main)
