"""Records what the image for arm64 with CUDA is made of, so that tests need not its 3 GB.

    ./bazelw build //examples/image_classification:image_arm64_gpu --//rules:bytecode=false
    layout=$(readlink -f bazel-bin/examples/image_classification/image_arm64_gpu)
    ./bazelw run //examples/image_classification:record_gpu -- "$layout"

The first builds the whole image, the last writes arm64_gpu.json beside this file: the settings, each layer's
descriptor, the digest of the manifest, and the doctor's facts, of the files only those that the loader and Python look
for. Bytecode is not among these.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from chassis.command_line.run import caller_path
from chassis.doctor.examination import facts_of_layout
from chassis.doctor.facts import Facts, LayerFacts, encode
from chassis.oci.descriptor import LayerDescriptor
from chassis.oci.layout_reader import LayoutReader

_SIZE = "io.containers.estargz.uncompressed-size"
_RECORD = "examples/image_classification/arm64_gpu.json"


def record(layout: Path) -> dict[str, object]:
    """What arm64_gpu.json holds, of the image in an OCI layout directory."""
    reader = LayoutReader(layout)
    manifest, _ = reader.image()
    config = json.loads(reader.document(manifest.blobs[0]))
    facts = facts_of_layout(layout)
    layers = [
        LayerDescriptor(blob, diff_id, int(blob.annotations[_SIZE]), layer.origin).to_json()
        for blob, diff_id, layer in zip(manifest.blobs[1:], config["rootfs"]["diff_ids"], facts.layers, strict=True)
    ]
    return {
        "manifest": json.loads((layout / "index.json").read_text())["manifests"][0]["digest"],
        "config": config["config"],
        "layers": layers,
        "facts": json.loads(encode(Facts(tuple(map(_smaller, facts.layers)), facts.start))),
    }


def _smaller(facts: LayerFacts) -> LayerFacts:
    """Only libraries, links and metadata."""
    elves = {path for path, _ in facts.elves}
    kept = tuple(file for file in facts.files if file.path in elves or file.link or file.path.endswith("/METADATA"))
    return dataclasses.replace(facts, files=kept)


def main() -> int:
    """Writes the record."""
    output = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"], _RECORD)
    document = record(caller_path(sys.argv[1]))
    output.write_text(json.dumps(document, separators=(",", ":"), sort_keys=True) + "\n")
    size = sum(layer["size"] for layer in document["layers"])
    print(f"{_RECORD}: {len(document['layers'])} layers, {size / 1e6:.1f} MB, manifest {document['manifest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
