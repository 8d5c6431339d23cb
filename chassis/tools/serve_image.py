"""Serves an image on this machine until Ctrl-C: `bazel run //model:image.serve [-- --port=8080]`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.image_test.serve import Served, Stopped, serve
from chassis.image_test.server import temporary_directory
from chassis.oci.file_tree import remove_tree
from chassis.sandbox.ladder import Tools

FLAGS = flags.FLAGS
flags.DEFINE_string("image", None, "OCI image layout directory.", required=True)
flags.DEFINE_string("name", "the image", "What the image is called.")
flags.DEFINE_string("bwrap", "bwrap", "bubblewrap's program.")
flags.DEFINE_string("proot", "", "PRoot's program, for a machine without user namespaces.")
flags.DEFINE_string("emulator", "", "Static qemu program; empty if the image is for this machine's CPU.")
flags.DEFINE_string("emulator_cpu", "", "The CPU that the emulator plays, such as cortex-a57.")
flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "The address of IPv4 to listen on; 0.0.0.0 lets other machines ask, too, and gives the page to them.",
)
flags.DEFINE_integer("port", None, "Port of HTTP; 8080, or any if that is taken.", lower_bound=1, upper_bound=65535)
flags.DEFINE_integer("grpc_port", None, "Port of gRPC; 45000, or any if that is taken.", 1, 65535)
flags.DEFINE_integer(
    "page_port", None, "Port of the page to try the model on; 8090, or any if that is taken; 0 for no page.", 0, 65535
)
flags.DEFINE_multi_string("env", [], "NAME=VALUE: a variable of the server, see docs/operating.md; repeated.")
flags.DEFINE_float("timeout", 300.0, "Seconds that the server may take to be ready.", lower_bound=0)


def main(argv: Sequence[str]) -> int:
    """Exit status: the server's; 0 if it was stopped and ended well."""
    del argv
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    served = Served(
        layout=Path(FLAGS.image),
        name=FLAGS.name,
        tools=Tools(Path(FLAGS.bwrap), Path(FLAGS.proot) if FLAGS.proot else None),
        emulator=Path(FLAGS.emulator) if FLAGS.emulator else None,
        emulator_cpu=FLAGS.emulator_cpu,
        host=FLAGS.host,
        http_port=FLAGS.port,
        grpc_port=FLAGS.grpc_port,
        page_port=FLAGS.page_port,
        environment=dict(_variable(text) for text in FLAGS.env),
        startup_seconds=FLAGS.timeout,
    )
    folder = temporary_directory()
    try:
        return serve(served, folder, lambda line: print(line, flush=True), _show)
    except Stopped:
        return 0  # before there was a server
    finally:
        remove_tree(folder)


def _stop(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_at_once)
    raise Stopped


def _stop_at_once(*_: object) -> None:
    raise ChassisError("stopped at once: what the server had accepted is lost")


def _show(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ChassisError(f"--env={text}: expected NAME=VALUE")
    return name, value


if __name__ == "__main__":
    run_main(main)
