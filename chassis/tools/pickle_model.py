"""Packages a predict function: model.pkl, status.pb and model.json of an image's /app/model."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.persistent_worker import Digests
from chassis.command_line.run import run_main
from chassis.confinement.errors import NoWallsError
from chassis.declaration.frameworks import FRAMEWORKS
from chassis.declaration.metadata_file import read_metadata
from chassis.declaration.model_json import SIGNATURES
from chassis.errors import ChassisError
from chassis.packaging.packager import Model, PackagedModel, package_model, running_version
from chassis.packaging.pickling_worker import Action, PicklingWorker
from chassis.whole_file import whole_file

_METADATA = flags.DEFINE_string(
    "metadata", None, "The model's metadata (chassis/declaration/metadata_file.py).", required=True
)
_ENTRY_POINT = flags.DEFINE_string("entry_point", None, "module:attribute.")
_FRAMEWORK = flags.DEFINE_enum(
    "framework", None, sorted(FRAMEWORKS), "The framework whose file the first of --data is, in place of --entry_point."
)
_LOADER = flags.DEFINE_string("loader", None, "module:attribute of what is called before the first input.")
_PICKLE = flags.DEFINE_string("pickle", None, "A ready pickle of the function, in place of --entry_point.")
_PACKAGE_DIR = flags.DEFINE_string("package_dir", "", "Directory that the entry module's name is relative to.")
_SOURCE = flags.DEFINE_multi_string(
    "source", [], "PATH_IN_WORKSPACE=FILE: the entry module, and what goes with it by value."
)
_DATA = flags.DEFINE_multi_string("data", [], "KEY=FILE for chassis.data_path(KEY).")
_IMPORT_PATH = flags.DEFINE_multi_string("import_path", [], "A directory from which dependencies are imported.")
_SIGNATURE = flags.DEFINE_enum("signature", "auto", ["auto", *SIGNATURES], "What one input is for the function.")
_INTERPRETER = flags.DEFINE_string("interpreter", None, "The Python that imports and pickles; by default this one.")
_PYTHON_VERSION = flags.DEFINE_string("python_version", running_version(), "The image's Python, as 3.11; this one's.")
_TIMEOUT = flags.DEFINE_float("timeout", 300.0, "Seconds that importing and pickling may take.")
_CONFINE = flags.DEFINE_bool(
    "confine", False, "Let the model's code see the files of this directory, as a sandbox has them, and no others."
)
_INPUT = flags.DEFINE_multi_string("input", [], "An input that is a file: for a persistent worker.")
_TREE = flags.DEFINE_multi_string("tree", [], "An input that is a directory of another action: for the same.")
_MODEL_PKL = flags.DEFINE_string("model_pkl", None, "Output: the pickle.", required=True)
_STATUS_PB = flags.DEFINE_string("status_pb", None, "Output: a serialised OMI StatusResponse.", required=True)
_MODEL_JSON = flags.DEFINE_string("model_json", None, "Output: settings of the server.", required=True)


_BARE_SANDBOX = "processwrapper-sandbox"
"""The directory of Bazel's sandbox that confines nothing, which it takes if the kernel gives no namespaces."""

_SHARED = tuple(
    map(
        Path,
        (
            *(
                "/usr",
                "/etc/fonts",
                "/etc/group",
                "/etc/localtime",
                "/etc/mime.types",
                "/etc/nsswitch.conf",
                "/etc/passwd",
            ),
            *("/proc/stat", "/proc/version", "/sys/fs/cgroup"),
        ),
    )
)
"""What code of one's own may read of the machine: what tells it how the machine is, and no secrets."""


def main(argv: Sequence[str]) -> None:
    """Packages one model; writes all of its outputs or none."""
    model = _model()
    _give(model, _package(model))


def main_in_worker(worker: PicklingWorker, digests: Digests) -> None:
    """The same, in a worker, whose inputs are those of `digests`."""
    model = _model()
    action = Action(
        model,
        _INPUT.value,
        _TREE.value,
        digests,
        Path(_INTERPRETER.value) if _INTERPRETER.value else None,
        _PYTHON_VERSION.value,
        _TIMEOUT.value,
    )
    _give(model, worker.package(action))


def _model() -> Model:
    return Model(
        metadata=read_metadata(Path(_METADATA.value)),
        entry_point=_ENTRY_POINT.value or None,
        pickle=Path(_PICKLE.value) if _PICKLE.value else None,
        package_dir=_PACKAGE_DIR.value,
        sources=_pairs("source", _SOURCE.value),
        data=_pairs("data", _DATA.value),
        import_paths=[Path(path) for path in _IMPORT_PATH.value],
        signature=_SIGNATURE.value,
        loader=_LOADER.value or None,
        framework=_FRAMEWORK.value or None,
    )


def _give(model: Model, packaged: PackagedModel) -> None:
    _tell(model.metadata.name, packaged)
    _write(
        {
            Path(_MODEL_PKL.value): packaged.pickle,
            Path(_STATUS_PB.value): packaged.status,
            Path(_MODEL_JSON.value): packaged.settings,
        }
    )


def _package(model: Model) -> PackagedModel:
    package = functools.partial(
        package_model,
        model,
        timeout=_TIMEOUT.value,
        interpreter=Path(_INTERPRETER.value) if _INTERPRETER.value else None,
        python=_PYTHON_VERSION.value,
        scratch=Path(_MODEL_PKL.value).absolute().parent,  # on a disk with room, which a /tmp need not be
    )
    if _CONFINE.value:
        return package(inputs=Path.cwd())
    if _BARE_SANDBOX not in Path.cwd().parts:
        return package()
    try:
        return package(inputs=Path.cwd(), shared=_SHARED)
    except NoWallsError as error:
        print(f"note: {model.metadata.name}: its code is not confined on this machine: {error}", file=sys.stderr)
        return package()


def _tell(name: str, packaged: PackagedModel) -> None:
    """Shows what the user should know. The model's code may have written it: nothing in it moves the cursor."""
    for note in packaged.notes:
        print(f"warning: {name}: {_plain(note)}", file=sys.stderr)
    if packaged.printed.strip():
        print(f"{name}: while it was pickled, its code wrote:", file=sys.stderr)
        for line in packaged.printed.strip().splitlines():
            print(f"  {_plain(line)}", file=sys.stderr)


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _pairs(flag: str, values: Sequence[str]) -> dict[str, Path]:
    pairs: dict[str, Path] = {}
    for value in values:
        name, separator, file = value.partition("=")
        if not (name and separator and file):
            raise ChassisError(f"--{flag}={value}: expected NAME=FILE")
        if name in pairs:
            raise ChassisError(f"--{flag}: {name!r} is given twice, as {pairs[name]} and {file}")
        pairs[name] = Path(file)
    return pairs


def _write(outputs: Mapping[Path, bytes]) -> None:
    """Writes each file beside its place first, then moves them all."""
    with contextlib.ExitStack() as stack:
        for path, content in outputs.items():
            stack.enter_context(whole_file(path)).write(content)


if __name__ == "__main__":
    run_main(main, in_worker=functools.partial(main_in_worker, PicklingWorker(_SHARED)))
