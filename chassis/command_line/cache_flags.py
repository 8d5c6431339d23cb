"""The flags of pushes that say which of Bazel's caches to take layers from, beside those of its rc files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from absl import flags

from chassis.oci.blob_store import BlobStore
from chassis.oci.caches.bazel_settings import read_settings
from chassis.oci.caches.stores import stores_of
from chassis.oci.push import MissingBlobError

FLAGS = flags.FLAGS
flags.DEFINE_multi_string("config", [], "Bazel's --config, for flags of caches in its rc files.")
flags.DEFINE_string("disk_cache", None, "Bazel's --disk_cache, if it is in no rc file.")
flags.DEFINE_string("remote_cache", None, "Bazel's --remote_cache, if it is in no rc file.")
flags.DEFINE_string("remote_instance_name", None, "Bazel's --remote_instance_name, if it is in no rc file.")
flags.DEFINE_multi_string("remote_header", [], "Bazel's --remote_header, if it is in no rc file: NAME=VALUE.")
flags.DEFINE_multi_string("credential_helper", [], "Bazel's --credential_helper, if it is in no rc file.")


@contextmanager
def bringing(target: str) -> Iterator[None]:
    """Adds to the error of blobs that are nowhere how Bazel brings them here."""
    try:
        yield
    except MissingBlobError as error:
        if not target:
            raise
        raise error.with_remedy(
            "they are neither outputs of a build here nor in the caches that Bazel's rc files name\n"
            f"  bring them here: bazel build --output_groups=layers {target}\n"
            "  or say where they are: --disk_cache=… or --remote_cache=…, after a `--`"
        ) from None


class BazelCaches:
    """The caches, found out about when something is looked for: most pushes need none."""

    def __init__(self) -> None:
        self._stores: list[BlobStore] | None = None

    def stores(self) -> list[BlobStore]:
        """The disk cache and the remote cache that Bazel is set to use.

        Raises:
          ChassisError: an rc file or a credential helper cannot be used.
        """
        if self._stores is None:
            workspace = Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."))
            settings = read_settings(workspace, os.environ, FLAGS.config)
            for name in ("disk_cache", "remote_cache", "remote_instance_name"):
                if FLAGS[name].value is not None:
                    settings.single[name] = FLAGS[name].value
            for name in ("remote_header", "credential_helper"):
                settings.many.setdefault(name, []).extend(FLAGS[name].value)
            self._stores = stores_of(settings, workspace, os.environ)
        return self._stores
