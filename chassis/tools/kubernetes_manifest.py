"""Writes the objects of Kubernetes that run an image, as YAML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from absl import flags

from chassis.command_line.run import run_main
from chassis.deployment.kubernetes import KINDS, Workload, manifest
from chassis.oci.layout_reader import LayoutReader
from chassis.runtime import omi_pb2

_KIND = flags.DEFINE_enum("kind", "deployment", KINDS, "What runs it.")
_DOCUMENTS = flags.DEFINE_string("documents", None, "The layout to push, without its layers.", required=True)
_IMAGE = flags.DEFINE_string("image", None, "The layout of one image, without its layers.", required=True)
_SETTINGS = flags.DEFINE_string("settings", None, "model.json.", required=True)
_STATUS = flags.DEFINE_string("status", None, "status.pb.", required=True)
_NAME = flags.DEFINE_string("name", "", "Of the objects; the model's name without.")
_NAMESPACE = flags.DEFINE_string("namespace", "", "Of the objects.")
_REPOSITORY = flags.DEFINE_string(
    "repository", None, "Registry and repository that the image is pushed to.", required=True
)
_REPLICAS = flags.DEFINE_integer("replicas", 1, "How many at a time.")
_ENV = flags.DEFINE_multi_string("env", [], "NAME=VALUE, a variable beside those of the image.")
_OUTPUT = flags.DEFINE_string("output", None, "The file to write.", required=True)


def main(argv: Sequence[str]) -> None:
    """Reads what the image and its model say, and writes the objects."""
    del argv
    settings = json.loads(Path(_SETTINGS.value).read_bytes())
    resources = omi_pb2.StatusResponse.FromString(Path(_STATUS.value).read_bytes()).resources
    _, config = LayoutReader(Path(_IMAGE.value)).image()
    environment = dict(entry.partition("=")[::2] for entry in _ENV.value)
    servers = (config.environment | environment).get("CHASSIS_SERVERS") or ",".join(settings["servers"])
    workload = Workload(
        name=_NAME.value or settings["name"],
        version=settings["version"],
        image=f"{_REPOSITORY.value}@{_digest(Path(_DOCUMENTS.value))}",
        servers=tuple(servers.split(",")),
        user=config.user,
        memory=resources.required_ram,
        cpus=settings["num_cpus"],
        gpus=resources.num_gpus,
        load_timeout=float(settings["load_timeout"]),
        drain_timeout=float(settings["drain_timeout"]),
        environment=environment,
        replicas=_REPLICAS.value,
        namespace=_NAMESPACE.value,
    )
    objects = manifest(workload, _KIND.value)
    text = yaml.dump_all(objects, Dumper=_Plain, sort_keys=False, explicit_start=True)
    Path(_OUTPUT.value).write_text(text)


class _Plain(yaml.SafeDumper):
    """Writes what is in two places twice: people and their tools read no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        """Always."""
        return True


def _digest(documents: Path) -> str:
    """Of what a push of the layout names."""
    (entry,) = json.loads((documents / "index.json").read_bytes())["manifests"]
    return str(entry["digest"])


if __name__ == "__main__":
    run_main(main)
