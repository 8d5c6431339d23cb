"""What `bazelw` calls when it cannot go on by itself: decides on a Bazel, fetches it, writes the workspace's
settings.

It prints nothing on standard output, which belongs to Bazel. Two that start at once wait for each other.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis.bootstrap import certificates, choice, debian_bazel, modules
from chassis.bootstrap.namespaces import why_no_namespaces
from chassis.bootstrap.places import Places, find_places, locked
from chassis.bootstrap.progress import Progress
from chassis.bootstrap.workspace_mode import read_mode
from chassis.errors import ChassisError


def main(argv: Sequence[str]) -> int:
    """Leaves a decision and settings with which `bazelw` can run Bazel; 0, or 1 with an error printed."""
    parser = argparse.ArgumentParser(prog="bazelw", allow_abbrev=False)
    for name in ("asked", "bazel", "bazelisk", "version", "workspace", "settings", "here"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args(argv)
    progress = Progress()
    candidates = choice.Candidates(arguments.bazel, arguments.bazelisk, arguments.version)
    try:
        places = find_places(os.environ)
        with locked(places, progress):
            chosen = _choose(places, candidates, arguments.asked == "fetch", progress)
            if chosen.kind == "tree":
                bundle = certificates.find_bundle(os.environ)
                certificates.write_key_store(bundle, places.certificates)
                if arguments.workspace:
                    _write_settings(chosen.path, bundle, Path(arguments.workspace), Path(arguments.settings))
        refused = why_no_namespaces()
        if refused:
            progress.say(f"note: this machine gives no namespaces ({refused}), so Bazel confines no action here:")
            progress.say("  actions may see the network and write elsewhere. Chassis confines models and tests itself,")
            progress.say("  see docs/unprivileged.md")
    except ChassisError as error:
        print(f"bazelw: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bazelw: interrupted; what was downloaded is kept for the next time", file=sys.stderr)
        return 130
    return 0


def _choose(places: Places, candidates: choice.Candidates, fetch: bool, progress: Progress) -> choice.Choice:
    known = choice.read(places.choice)
    if known and known[1] == candidates and (known[0].kind == "tree" or not fetch):
        chosen = known[0]
        if chosen.kind == "program" and os.access(chosen.path, os.X_OK):
            return chosen
        if chosen.kind == "tree" and (chosen.path / "bin/bazel").is_file():
            return chosen
    program = None if fetch else choice.first_that_works(candidates, progress)
    chosen = (
        choice.Choice("program", program) if program else choice.Choice("tree", debian_bazel.fetch(places, progress))
    )
    choice.write(places.choice, chosen, candidates)
    return chosen


def _write_settings(tree: Path, bundle: Path | None, workspace: Path, settings: Path) -> None:
    base = tree / "install_base"
    packaged = modules.find_packaged(base)
    graph = modules.follow(workspace, packaged, base / "embedded_tools")
    modules.write_stubs(graph, tree / "modules")
    header = [f"# tree {tree}"]
    mode = read_mode(workspace)
    header += [f"# {'read' if path.is_file() else 'absent'} {path}" for path in (*graph.files, *mode.files)]
    header += [f"# read {bundle}"] if bundle else []
    hermetic_tmp = Path("/tmp") not in tree.parents
    text = "\n".join([*header, modules.bazelrc(graph, packaged, tree / "modules", hermetic_tmp, mode)])
    settings.parent.mkdir(parents=True, exist_ok=True)
    temporary = settings.with_name(f"{settings.name[:100]}.{os.urandom(8).hex()}")
    temporary.write_text(text)
    temporary.replace(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
