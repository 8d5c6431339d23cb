"""The steps of a job: the model's package, its locks, the build, the push."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chassis.confinement.left_files import remove_left
from chassis.declaration.model import ModelMetadata
from chassis.errors import ChassisError
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.registry.errors import CancelledError
from chassis.oci.registry.transport import Cancellation
from chassis.packed_model.build_file import BUILD_LOCK, LOCKS, build_file, module_file, pickle_place
from chassis.packed_model.locks import write_locks
from chassis.packed_model.model import PICKLE, PackedModel
from chassis.service.bazel import Bazel, BuildError
from chassis.service.build_policy import STRATEGIES, BuildPolicy, locking_environment
from chassis.service.image_store import ImageStore
from chassis.service.job import Job, RegistryCredentials
from chassis.service.job_log import JobLog
from chassis.service.publisher import Publisher
from chassis.service.retention import INDEX_CACHE, Retention, tree_bytes
from chassis.service.upload import Limits, read_model
from chassis.service.wall_probe import confining_strategy

_PACKAGE = "model"
_HUB = "pypi"
_WAIT_SECONDS = 0.2
_TRASH = "_moved_trash_dir"
"""Where Bazel moves sandboxes that it removes, below its directory of them."""


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job, as the engine hands it over.

    Attributes:
      job: the job.
      upload: the directory that the model was unpacked into.
      slot: number of the worker, from 0: what it may call its own.
      credentials: for the registry; None if none were given.
      log: where it says what it does.
      cancellation: set when it is to give up.
    """

    job: Job
    upload: Path
    slot: int
    credentials: RegistryCredentials | None
    log: JobLog
    cancellation: Cancellation


class ImageBuild:
    """Runs jobs with Bazel, each worker in a workspace of its own, all of them with one cache of actions."""

    def __init__(
        self,
        root: Path,
        checkout: Path,
        images: ImageStore,
        publisher: Publisher,
        bazelrc: Path | None = None,
        limits: Limits | None = None,
        retention: Retention | None = None,
        policy: BuildPolicy | None = None,
    ) -> None:
        """Works below `root`; `checkout` is the directory of Chassis, `bazelrc` a file of more options for Bazel.

        Bazel keeps its cache of actions as small and as young as `retention` says. Builds may do what `policy` says.
        """
        self._root = root
        self._checkout = checkout
        self._images = images
        self._publisher = publisher
        self._bazelrc = bazelrc
        self._limits = limits or Limits()
        self._retention = retention or Retention()
        self._policy = policy or BuildPolicy()
        self._changed = threading.Condition()
        self._locking: set[str] = set()

    def confine(self, strategies: tuple[str, ...] = STRATEGIES) -> str:
        """Has every build from now on confine a client's code, in the strategy that does so here, and returns it.

        Raises:
          UnconfinedError: none of them does, by what a model that attacks came to.
        """
        workspace = self._workspace(0)
        cache = self._root / "disk_cache"
        cache.mkdir(exist_ok=True)
        home = (Path.home(),) if "HOME" in os.environ else ()
        watched = (self._root, cache, workspace, self._checkout, *home)
        strategy = confining_strategy(self._root, watched, self._try, strategies)
        self._policy = dataclasses.replace(self._policy, strategy=strategy)
        return strategy

    def _try(self, pickle: bytes, strategy: str) -> str:
        """Builds a model of `pickle` with a strategy; returns what was printed."""
        workspace, said = self._workspace(0), list[str]()
        for name in LOCKS.values():
            _write(workspace / "requirements" / f"{name}.txt", "# The model requires nothing.\n")
        with tempfile.TemporaryDirectory(dir=self._root / "scratch", prefix="probe-") as scratch:
            (Path(scratch) / PICKLE).write_bytes(pickle)
            model = PackedModel(ModelMetadata("probe"), Path(scratch) / PICKLE, ())
            self._write_package(workspace, model, ("amd64",), ())
        policy = dataclasses.replace(self._policy, strategy=strategy)
        with contextlib.suppress(BuildError):
            self._build(0, "probe", said.append, Cancellation(), policy)
        return "\n".join(said)

    def run(self, run: JobRun) -> dict[str, object]:
        """Builds and pushes; returns the job's result.

        Raises:
          ChassisError: what went wrong.
          CancelledError: the run was to give up.
        """
        model = read_model(run.upload, self._limits)
        request, log = run.job.request, run.log
        self._policy.check_sources(request.cross_build)
        workspace = self._workspace(run.slot)
        with _timed(log, "wheels locked"):
            self._write_locks(workspace, model, request.platforms, request.cross_build, run.cancellation)
        run.cancellation.check()
        self._write_package(workspace, model, request.platforms, request.cross_build)
        several = len(request.platforms) > 1
        target = "index" if several else f"image_{request.platforms[0]}"
        with _timed(log, "built"):
            self._build(run.slot, target, log.output, run.cancellation)
        layout = self._images.keep(run.job.id, workspace / "bazel-bin" / _PACKAGE / target)
        reader = LayoutReader(layout)
        result: dict[str, object] = {
            "digest": reader.entry().digest,
            "bytes": self._images.sizes(layout),
            "images": _described(reader, request.platforms),
            "requirements": list(model.requirements),
        }
        if request.registry:
            with _timed(log, "pushed"):
                digest, tags = self._publisher.push(
                    layout, request, run.job.client, run.credentials, log, run.cancellation
                )
            repository = f"{request.registry}/{request.repository}"
            result |= {"reference": f"{repository}@{digest}", "tags": [f"{repository}:{tag}" for tag in tags]}
        return result

    def tidy(self, slot: int) -> None:
        """Removes what Bazel has unpacked and built for a worker; the cache of actions has what is used again."""
        if (self._slot(slot) / "workspace").is_dir():
            self._bazel(slot).expunge()

    def stop(self, slots: int) -> None:
        """Ends the Bazel servers of the workers."""
        for slot in range(slots):
            if (self._slot(slot) / "workspace").is_dir():
                self._bazel(slot).stop()

    def _build(
        self,
        slot: int,
        target: str,
        line: Callable[[str], None],
        cancellation: Cancellation,
        policy: BuildPolicy | None = None,
    ) -> None:
        try:
            self._bazel(slot, policy).build([f"//{_PACKAGE}:{target}"], line, cancellation)
        finally:
            # Of an action that was killed, Bazel does not get rid of directories that no path is long enough to name.
            trash = self._slot(slot) / "output_base" / "sandbox" / _TRASH
            for left in trash.iterdir() if trash.is_dir() else ():
                remove_left(left)

    def _slot(self, slot: int) -> Path:
        return self._root / "slots" / str(slot)

    def _workspace(self, slot: int) -> Path:
        workspace = self._slot(slot) / "workspace"
        (workspace / "requirements").mkdir(parents=True, exist_ok=True)
        _write(workspace / "BUILD.bazel", "")
        _write(workspace / "requirements" / "BUILD.bazel", 'exports_files(glob(["*.txt"]))\n')
        _write(
            workspace / ".bazelrc",
            "build --sandbox_default_allow_network=false --incompatible_strict_action_env --worker_sandboxing\n"
            "common --lockfile_mode=off\n",
        )
        return workspace

    def _bazel(self, slot: int, policy: BuildPolicy | None = None) -> Bazel:
        startup = [f"--output_base={self._slot(slot) / 'output_base'}", "--max_idle_secs=900"]
        if self._bazelrc:
            startup.append(f"--bazelrc={self._bazelrc}")
        options = (*(policy or self._policy).options(), *self._cache_options())
        return Bazel(self._checkout / "bazelw", self._slot(slot) / "workspace", tuple(startup), options)

    def _write_locks(
        self,
        workspace: Path,
        model: PackedModel,
        platforms: Sequence[str],
        cross_build: Sequence[str],
        cancellation: Cancellation,
    ) -> None:
        """Puts the locks of the requirements into the workspace. Equal requirements have equal locks for good."""
        needed = sorted({LOCKS[name] for name in platforms} | {BUILD_LOCK})
        key = json.dumps([list(model.requirements), sorted(cross_build), model.python])
        name = hashlib.sha256(key.encode()).hexdigest()
        with self._one_at_a_time(name, cancellation):
            self._lock(self._root / "locks" / name, model, needed, cross_build, cancellation)
        with self._changed:  # nobody begins to make locks meanwhile
            cache = self._root / INDEX_CACHE
            if not self._locking and tree_bytes(cache) > self._retention.lock_bytes:
                remove_left(cache)
        for lock_name in LOCKS.values():
            lock = self._root / "locks" / name / "requirements" / f"{lock_name}.txt"
            _write(
                workspace / "requirements" / f"{lock_name}.txt",
                lock.read_text() if lock_name in needed else "# No image for this platform was asked for.\n",
            )

    @contextlib.contextmanager
    def _one_at_a_time(self, name: str, cancellation: Cancellation) -> Iterator[None]:
        """Holds the locks of that name: of two jobs with the same requirements one makes them, and the other waits."""
        with self._changed:
            while name in self._locking:
                self._changed.wait(_WAIT_SECONDS)
                cancellation.check()
            self._locking.add(name)
        try:
            yield
        finally:
            with self._changed:
                self._locking.remove(name)
                self._changed.notify_all()

    def _cache_options(self) -> tuple[str, ...]:
        """The service's cache of actions, on the command line: what is old is removed from the cache that Bazel is told
        of last. If the operator's file names a cache, it is used, and nothing is removed from it."""
        if self._bazelrc and _names_disk_cache(self._bazelrc):
            return ()
        kept = self._retention
        return (
            f"--disk_cache={self._root / 'disk_cache'}",
            # Bazel tidies its cache itself, once its server has had nothing to do for half a minute.
            "--experimental_disk_cache_gc_idle_delay=30s",
            f"--experimental_disk_cache_gc_max_size={kept.cache_bytes}",
            f"--experimental_disk_cache_gc_max_age={int(kept.cache_seconds)}s",
        )

    def _lock(
        self,
        kept: Path,
        model: PackedModel,
        needed: Sequence[str],
        cross_build: Sequence[str],
        cancellation: Cancellation,
    ) -> None:
        """Makes the locks that are missing in `kept`."""
        if kept.is_dir():
            os.utime(kept)  # what is used stays (retention.py)
        missing = [name for name in needed if not (kept / "requirements" / f"{name}.txt").is_file()]
        if missing:
            kept.mkdir(parents=True, exist_ok=True)
            _write(kept / "requirements.in", "".join(f"{line}\n" for line in model.requirements))
            try:
                cache = {"UV_CACHE_DIR": str(self._root / INDEX_CACHE)}
                environment = cache | locking_environment(os.environ)
                write_locks(
                    kept,
                    model.requirements,
                    needed,
                    sdists=tuple(cross_build),
                    environment=environment,
                    check=cancellation.check,
                    python=model.python,
                )
            except CancelledError:
                raise
            except ChassisError as error:
                raise BuildError(f"{error}\n{_advice(str(error))}".rstrip()) from None

    def _write_package(
        self, workspace: Path, model: PackedModel, platforms: Sequence[str], cross_build: Sequence[str]
    ) -> None:
        _write(
            workspace / "MODULE.bazel",
            module_file(tuple(LOCKS.values()), self._checkout, _HUB, tuple(cross_build), model.python),
        )
        package = workspace / _PACKAGE
        staged = workspace / f".{_PACKAGE}"
        for directory in (staged, package):
            shutil.rmtree(directory, ignore_errors=True)
        staged.mkdir()
        assert isinstance(model.pickle, Path)
        _link(model.pickle, staged / PICKLE)
        for key, file in model.files.items():
            _link(file, staged / key)
        build_lock = (workspace / "requirements" / f"{BUILD_LOCK}.txt").read_text()
        text = build_file(
            model.metadata,
            model.requirements,
            tuple(model.files),
            model.signature,
            _HUB,
            tuple(platforms),
            index=True,
            pickle_on=pickle_place(platforms, build_lock),
            python=model.python,
        )
        _write(staged / "BUILD.bazel", text)
        staged.replace(package)


def _described(reader: LayoutReader, platforms: Sequence[str]) -> list[dict[str, object]]:
    manifests = [manifest for manifest in reader.walk(reader.entry()) if manifest.blobs]
    return [
        {
            "platforms": list(platforms) if len(manifests) == 1 else [],
            "digest": manifest.descriptor.digest,
            "layers": len(manifest.blobs) - 1,
            "bytes": sum(blob.size for blob in manifest.blobs),
        }
        for manifest in manifests
    ]


def _names_disk_cache(bazelrc: Path, most: int = 20) -> bool:
    """Whether a file of options for Bazel, or one that it imports, says where a disk cache is."""
    try:
        lines = bazelrc.read_text(errors="replace").splitlines()
    except OSError:
        return False  # Bazel says so, if it matters
    for words in (line.partition("#")[0].split() for line in lines):
        if any(word.partition("=")[0] == "--disk_cache" for word in words):
            return True
        imported = bazelrc.parent / words[1] if len(words) == 2 and words[0] in ("import", "try-import") else None
        if imported and most and _names_disk_cache(imported, most - 1):
            return True
    return False


def _advice(error: str) -> str:
    if "no usable wheels" in error or "has no wheel" in error or "none runs on" in error or "no wheels with" in error:
        return (
            "  a distribution of which the index has only the sources can be built for the platform: name it in "
            'cross_build, such as publish(…, cross_build=["crcmod"])'
        )
    return ""


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _write(path: Path, text: str) -> None:
    """Leaves a file alone that has that text already, so that Bazel sees no change."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.write_text(text, encoding="utf-8")


class _timed:
    """Says in the log how long a step took, once it has succeeded."""

    def __init__(self, log: JobLog, step: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._step, self._clock = log, step, clock

    def __enter__(self) -> None:
        self._begin = self._clock()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._log.line(f"{self._step} in {self._clock() - self._begin:.1f} s")
