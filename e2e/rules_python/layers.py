"""Prints an image's layers: `NAME VERSION DIGEST` of each wheel."""

import json
import pathlib
import sys


def main(layout: pathlib.Path) -> None:
    """Reads manifest and configuration of a layout."""

    def blob(descriptor: dict) -> dict:
        return json.loads((layout / "blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes())

    manifest = blob(json.loads((layout / "index.json").read_bytes())["manifests"][0])
    made = [entry.get("created_by", "") for entry in blob(manifest["config"])["history"]]
    for layer, by in zip(manifest["layers"], made[-len(manifest["layers"]) :], strict=True):
        if by.startswith("chassis: wheel "):
            print(by.removeprefix("chassis: wheel "), layer["digest"])


main(pathlib.Path(sys.argv[1]))
