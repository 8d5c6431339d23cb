"""The flags of every tool that talks to a registry, and what they can mend.

client = RegistryClient(repository, transport_of_flags(), store, FLAGS.insecure)   # inside `with remedies():`
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import flags

from chassis.errors import ChassisError
from chassis.oci.registry.errors import NotTlsError, RegistryError, UntrustedCertificateError
from chassis.oci.registry.transport import Cancellation, Transport

FLAGS = flags.FLAGS
flags.DEFINE_bool("insecure", False, "Allow plain HTTP to a registry that is not on loopback.")
flags.DEFINE_string("ca_file", None, "PEM file of authorities to trust beside the system's.")
flags.DEFINE_alias("ca-file", "ca_file")

_REMEDIES: dict[type[RegistryError], str] = {
    NotTlsError: "--insecure allows plain HTTP",
    UntrustedCertificateError: "for a private authority give its certificates with --ca_file, or set SSL_CERT_FILE",
}


def transport_of_flags(connections: int = 8, cancellation: Cancellation | None = None) -> Transport:
    """A transport that trusts what `--ca_file` says."""
    ca_file = Path(FLAGS.ca_file) if FLAGS.ca_file else None
    return Transport(connections=connections, ca_file=ca_file, cancellation=cancellation)


def deadline(seconds: float) -> Cancellation:
    """Ends the program with an error after `seconds`, and as by Ctrl-C at SIGTERM; what else is at work is told by what
    this returns."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def expired(*_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            raise ChassisError(f"the push took more than {seconds:g} s; no tag was moved that is not reported above")

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return Cancellation()


@contextmanager
def remedies() -> Iterator[None]:
    """Adds to an error what a flag can do about it."""
    try:
        yield
    except (NotTlsError, UntrustedCertificateError) as error:
        raise type(error)(f"{error}\n  {_REMEDIES[type(error)]}") from None
