"""From a predict function, or its ready pickle, to the files of an image's model directory."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.confinement.left_files import read_regular, scratch_directory
from chassis.declaration.model import ModelMetadata
from chassis.packaging.completion import complete
from chassis.packaging.description import server_settings, status_response
from chassis.packaging.errors import EntryPointError, PackagingError
from chassis.packaging.isolated import NotSharedError, Workplace
from chassis.packaging.request import PickleRequest
from chassis.packaging.signature import read_signature
from chassis.packaging.warm_process import WarmProcess
from chassis.packaging.worker import Result


@dataclass(frozen=True, slots=True)
class Model:
    """A model to be packaged.

    Attributes:
      metadata: what it says about itself.
      entry_point: `module:attribute`; None if there is a ready pickle.
      pickle: a ready pickle of the predict function, None if there is an entry point.
      package_dir: the package's directory in the workspace.
      sources: path in the workspace to the file of each source.
      data: key to file or directory.
      import_paths: directories from which its dependencies are imported, and nothing else is.
      signature: one of `SIGNATURES`, or `auto`.
      framework: the framework whose file the first of `data` is, in place of an entry point; None for none.
      loader: `module:attribute` of what is called before the first input, and whose result the function gets; or None.
    """

    metadata: ModelMetadata
    entry_point: str | None
    pickle: Path | None
    package_dir: str
    sources: Mapping[str, Path]
    data: Mapping[str, Path]
    import_paths: Sequence[Path]
    signature: str = "auto"
    loader: str | None = None
    framework: str | None = None


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """The files of a model directory: `model.pkl`, `status.pb`, `model.json`.

    Attributes:
      notes: what the user should know of the model, one sentence each.
      printed: what its code wrote, and what Python warned of, while it was pickled.
    """

    pickle: bytes
    status: bytes
    settings: bytes
    notes: tuple[str, ...] = ()
    printed: str = ""


def running_version() -> str:
    """The minor version of this interpreter, as `3.11`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def package_model(
    model: Model,
    *,
    timeout: float = 300.0,
    interpreter: Path | None = None,
    python: str | None = None,
    inputs: Path | None = None,
    shared: Sequence[Path] | None = None,
    scratch: Path | None = None,
    warm: WarmProcess | None = None,
    private_paths: Sequence[Path] = (),
) -> PackagedModel:
    """Pickles the model (or takes its pickle), checks that it loads where only its dependencies are, describes it.

    Pickling and the check may take `timeout` seconds each. The processes that run the model's code are of the Python
    `interpreter`, or of the running one if that is None; its minor version has to be `python`, the image's. With
    `inputs`, the directory that Bazel's sandbox runs an action in, they are confined: they read what is there, and what
    `shared` names, and write nowhere else. `scratch` is a directory to work in, in place of the system's.
    `warm` forks these processes, which are confined then (warm_process.py). The pickle holds none of `private_paths`
    either.

    Raises:
      PackagingError: what is wrong with the model.
      ConfinementError: it is to be confined, and the kernel lacks what that takes.
    """
    if sum(one is not None for one in (model.entry_point, model.pickle, model.framework)) != 1:
        raise EntryPointError("a model has either an entry point, a ready pickle or a framework")
    if model.framework is not None and not model.data:
        raise EntryPointError(f"framework {model.framework!r}: the model's file is the first of `data`, which is empty")
    for what, path in (("entry point", model.entry_point), ("loader", model.loader)):
        if path is not None and not all(path.partition(":")):
            raise EntryPointError(f"{what} {path!r} is not of the form module:attribute")
    if model.loader is not None and model.entry_point is None:
        raise EntryPointError("loader is for an entry point: a ready pickle holds its own")
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(scratch_directory("chassis-", scratch)).resolve()
        # The process that forks may write where its forks do: to nothing else that is here.
        work = stack.enter_context(scratch_directory("chassis-", warm.work)).resolve() if warm else None
        import_paths = [path.absolute() for path in model.import_paths]
        place = root / "place"
        place.mkdir()
        request = PickleRequest(
            entry_point=model.entry_point or "",
            package_dir=model.package_dir,
            sources={path: str(file.absolute()) for path, file in model.sources.items()},
            import_paths=tuple(map(str, import_paths)),
            signature=model.signature,
            loader=model.loader or "",
            batch_size=model.metadata.batch_size,
            has_columns=bool(model.metadata.columns),
            framework=_framework(model),
            private_paths=(
                str(root),
                *([str(work)] if work else ()),
                str(Path.cwd()),
                *map(str, import_paths),
                *map(str, private_paths),
            ),
        )
        python = python or running_version()
        workplace = Workplace(
            place, dict(model.data), import_paths, timeout, interpreter, inputs, python, shared, warm, work
        )
        pickle = root / "model.pkl"
        if model.pickle is None:
            content, result = _pickled(workplace, request, pickle)
        else:
            content = _read(model.pickle)
            request = dataclasses.replace(request, pickle_name=model.pickle.name)
            pickle.write_bytes(content)
            result = _check(workplace, request, pickle)
        signature, takes_request = _known(result.signature)
        metadata = complete(model.metadata, signature, result.declared)
        return PackagedModel(
            content,
            status_response(metadata).SerializeToString(deterministic=True),
            server_settings(metadata, signature, python, takes_request=takes_request),
            result.notes,
            result.printed,
        )


def _framework(model: Model) -> tuple[object, ...]:
    if model.framework is None:
        return ()
    metadata = model.metadata
    tensors = tuple(part.name for part in metadata.inputs if part.tensor)
    columns, outputs = ([one.name for one in parts] for parts in (metadata.columns, metadata.outputs))
    return model.framework, next(iter(model.data)), tuple(columns), tensors, tuple(outputs)


def _pickled(workplace: Workplace, request: PickleRequest, pickle: Path) -> tuple[bytes, Result]:
    """The pickle, checked, and what is to be known of it.

    A process that is not confined does both, and imports once. Code that is confined might change afterwards what was
    checked, so there it takes two, the second on a copy, `pickle`, that the first does not reach.
    """
    made = workplace.output / "model.pkl"
    if not workplace.is_confined:
        with contextlib.suppress(NotSharedError):
            result = workplace.run("chassis.packaging.dump_and_check_worker", request, made, steps=2)
            return _left(made), result
    result = workplace.run("chassis.packaging.dump_worker", request, made)
    pickle.write_bytes(content := _left(made))
    _check(workplace, request, pickle)
    return content, result


def _left(made: Path) -> bytes:
    content = read_regular(made)
    if content is None:
        raise PackagingError("the interpreter that runs the model's code left no pickle")
    return content


def _check(workplace: Workplace, request: PickleRequest, pickle: Path) -> Result:
    return workplace.run("chassis.packaging.check_worker", request, pickle)


def _known(said: str) -> tuple[str, bool]:
    signature = read_signature(said)
    if signature is None:  # the model's code ran in the process that says it
        raise PackagingError(f"the interpreter that runs the model's code says a signature of {said[:40]!r}")
    return signature


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackagingError(f"{path}: {error.strerror}") from None
