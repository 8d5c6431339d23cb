"""The example with a weights file of one's own: torchvision's ResNet50, whose weights here are random, on arm64.

Run with the target's Python, which has no test runner: `python resnet50_test.py PICTURE …`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import torch
from torchvision import models


def _write_weights(directory: Path) -> None:
    """A state dict as torchvision publishes it, under the name that model.py goes by."""
    torch.manual_seed(7)
    torch.save(models.resnet50().state_dict(), directory / "resnet50.pth")


def _check(pictures: list[bytes]) -> None:
    from examples.image_classification import model

    together = model.batch_process(pictures)
    network = model.model
    assert isinstance(network, models.ResNet), type(network)
    assert [len(layer) for layer in (network.layer1, network.layer2, network.layer3, network.layer4)] == [3, 4, 6, 3]
    assert not network.training
    assert model.transform.transforms[-1].mean == [0.485, 0.456, 0.406]
    assert len(together) == len(pictures)
    for result in together:
        scores = [prediction["score"] for prediction in result["classPredictions"]]
        assert len({prediction["class"] for prediction in result["classPredictions"]}) == 5
        assert scores == sorted(scores, reverse=True), scores
        assert 0 < sum(scores) <= 1, scores
    assert model.batch_process(pictures[:1]) == together[:1]
    try:
        model.batch_process([pictures[0][:1000]])
    except ValueError as error:
        assert "are not a picture that OpenCV reads" in str(error), error
    else:
        raise AssertionError("a broken picture was classified")


def main(paths: list[str]) -> int:
    """Checks all of it; an assertion fails the test."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["CHASSIS_DATA"] = directory
        _write_weights(Path(directory))
        _check([Path(path).read_bytes() for path in paths])
    print(f"ResNet50 answers alike for {len(paths)} pictures at once and for one")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
