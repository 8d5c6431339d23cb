"""ChassisModel: a predict function of a running Python, tried, saved as a Bazel package, or published."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from chassis.call import Request
from chassis.declaration.model import ModelMetadata
from chassis.packaging.signature import Predictor, as_predictor
from chassis.packed_model.model import PackedModel, check_key
from chassis.packed_model.requirements import Detected, merge, parse
from chassis.packed_model.saved_package import save_package
from chassis.runtime.core.predict import UNTYPED
from chassis.sdk.inputs import Item, items, typed_items
from chassis.sdk.pickled import pickle_function, running_python
from chassis.sdk.publishing import ModelPublisher, PublishOptions, PublishOptionsError, chosen_platforms
from chassis.sdk.trial import ModelError, Trial, name_of

_TARGETS = ("image", "index", "push")


class ChassisModel:
    """A predict function with what an image of it needs.

    Example:

        model = ChassisModel(batch_process_fn=batch_process, batch_size=4)
        print(model.test("airplane.jpg"))
        model.save("airplanes")

    Attributes:
      metadata: what the model says about itself; see `describe`.
      additional_files: key to file: what the function finds with `chassis.data_path(key)`.
    """

    def __init__(
        self,
        process_fn: Callable[..., object] | None = None,
        batch_process_fn: Callable[..., object] | None = None,
        batch_size: int | None = None,
        *,
        load_fn: Callable[[], object] | None = None,
        client: ModelPublisher | None = None,
    ) -> None:
        """Takes one predict function or both; an image has the batch function if there is one.

        Args:
          process_fn: takes one input, as bytes or a mapping from input name to bytes.
          batch_process_fn: takes a list of inputs and returns a list of results.
          batch_size: the most inputs of one call of `batch_process_fn`.
          load_fn: takes nothing, and is called once before the first input: for what cannot be pickled, or takes long.
            The functions get what it returned as their first argument. In its place, a class as `process_fn` has
            methods `predict` and perhaps `load`.
          client: what `publish` goes through; the one that made the model.

        Raises:
          ModelError: no function, a batch function without a size or the other way round, or no function at all.
          EntryPointError: a function that takes something else than the input, with what `load_fn` returned before it.
        """
        if process_fn is None and batch_process_fn is None:
            raise ModelError("a model needs process_fn, batch_process_fn or both")
        for name, function in (("process_fn", process_fn), ("batch_process_fn", batch_process_fn)):
            if function is not None and not callable(function):
                raise ModelError(f"{name} is a {type(function).__name__}, expected a function")
        if batch_process_fn is None and batch_size is not None:
            raise ModelError("batch_size is for a batch_process_fn: leave it out, or give the function")
        if batch_process_fn is not None and (
            not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1
        ):
            raise ModelError(f"batch_size is {batch_size!r}, and batch_process_fn needs one of at least 1")
        self._single = None if process_fn is None else as_predictor(process_fn, load_fn)
        self._batch = None if batch_process_fn is None else as_predictor(batch_process_fn, load_fn)
        self._client = client
        self._trials = {
            predictor: Trial(predictor, size)
            for predictor, size in ((self._single, 0), (self._batch, batch_size or 0))
            if predictor is not None
        }
        if len({trial.signature for trial in self._trials.values()}) > 1:
            raise ModelError("process_fn and batch_process_fn take different inputs: one bytes, the other mappings")
        name, declared = slug(name_of(self._packed)), self._trials[self._packed].declared
        self.metadata = ModelMetadata(name=name, batch_size=batch_size or 0).replace(**declared)
        self.additional_files: dict[str, Path] = {}
        self._requirements: list[str] = []

    def __repr__(self) -> str:
        """`ChassisModel(digits 0.0.1, batches of 16, files weights.npz)`."""
        parts = [f"{self.metadata.name} {self.metadata.model_version}"]
        if self._batch is not None:
            parts.append(f"batches of {self.metadata.batch_size}")
        if self.additional_files:
            parts.append(f"files {', '.join(sorted(self.additional_files))}")
        return f"ChassisModel({', '.join(parts)})"

    def describe(self, **fields: object) -> ModelMetadata:
        """Changes fields of `metadata`, such as `author` or `inputs`; docs/reference/settings.md has them all.

        `inputs` and `outputs` take a mapping from name to media type, or to an object such as
        `{"media_type": "image/png", "max_size": "10M", "description": "a photo"}`.

        Raises:
          ModelError: there is no such field, or it is the batch size, which belongs to the function.
          MetadataError: a value that cannot be understood.
        """
        known = {field.name for field in ModelMetadata.FIELDS} - {"batch_size"}
        for name in fields:
            if name not in known:
                raise ModelError(f"a model's metadata has no {name!r} to set, it has: {', '.join(sorted(known))}")
        if "model_name" in fields and "name" not in fields:
            fields["name"] = slug(str(fields["model_name"]))
        self.metadata = self.metadata.replace(**fields)
        return self.metadata

    def add_requirements(self, requirements: str | Sequence[str]) -> None:
        """Adds requirements, in place of what would be detected for the same distributions.

        Args:
          requirements: one, several, or the text of a requirements file: `numpy==2.4.6`, `torch>=2.9`.

        Raises:
          RequirementError: one of them cannot be understood.
        """
        lines = requirements.splitlines() if isinstance(requirements, str) else list(requirements)
        lines = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        merge([*self._requirements, *lines], [])
        self._requirements += [parse(line)[1] for line in lines]

    def add_file(self, path: str | os.PathLike[str], key: str | None = None) -> None:
        """Adds a file, or the files of a directory, to `additional_files`, under its name or `key`.

        Raises:
          ModelError: nothing is there.
          PackedModelError: the key cannot be one.
        """
        source = Path(path)
        if not source.exists():
            raise ModelError(f"{source}: no such file or directory")
        name = key or source.name
        if source.is_dir():
            for file in sorted(file for file in source.rglob("*") if file.is_file()):
                self.additional_files[check_key(f"{name}/{file.relative_to(source).as_posix()}")] = file.absolute()
        else:
            self.additional_files[check_key(name)] = source.absolute()

    def requirements(self) -> list[str]:
        """What an image will install: what was added, and for the rest what the function imports, as installed here."""
        return merge(self._requirements, self.detected().pins)

    def describe_requirements(self) -> str:
        """`requirements` for people: what was detected, by which modules, and what was added in its place."""
        given = {parse(line)[0] for line in self._requirements}
        found = [line for line in self.detected().describe().splitlines() if line.partition("==")[0] not in given]
        lines = [*(f"{line}  # as given" for line in self._requirements), *found]
        return "\n".join([f"{self.metadata.name} requires:", *(f"  {line}" for line in lines)])

    def detected(self) -> Detected:
        """What the function's globals and its own imports come from; `print(model.detected().describe())`."""
        return pickle_function(self._packed).imports

    def test(self, test_input: object, request: Request | None = None) -> list[dict[str, bytes]]:
        """Calls the function here, as the server in an image would, once for each input.

        Args:
          test_input: a path, bytes, a text, an open file, a mapping from input name to content, or a list of mappings;
            for a function of rows or arrays also a row, a list of rows, a data frame or an array.
          request: what a function that takes it is told of the request, such as `Request(parameters={"top": 3})`;
            nobody's if it is left out.

        Returns:
          For each input its outputs: name to content, as they would be sent.

        Raises:
          TestInputError: the value is not an input.
          ModelTestError: the function failed, or returned what cannot be sent.
        """
        given = self._items(test_input)
        if self._single is not None:
            return [self._call(self._single, [item], request)[0] for item in given]
        return [output for item in given for output in self._call(self._packed, [item], request)]

    def test_batch(self, test_input: object, request: Request | None = None) -> list[dict[str, bytes]]:
        """Calls the batch function here with one input `batch_size` times, or with a list of mappings as it is.

        Each comes with `request`, see `test`.

        Raises:
          ModelError: the model has no batch function.
          TestInputError: the value is not an input.
          ModelTestError: the function failed, or returned what cannot be sent.
        """
        if self._batch is None:
            raise ModelError("the model has no batch_process_fn, try it with test")
        given = self._items(test_input)
        size = self.metadata.batch_size
        batch = given * size if len(given) == 1 else given
        return [
            output
            for start in range(0, len(batch), size)
            for output in self._call(self._batch, batch[start : start + size], request)
        ]

    def pack(self) -> PackedModel:
        """Pickles the function and gathers what goes with it.

        Raises:
          UnpicklableError: it holds what cannot be pickled.
          RequirementError: a requirement that cannot be understood.
        """
        pickled = pickle_function(self._packed)
        return PackedModel(
            metadata=self.metadata,
            pickle=pickled.content,
            requirements=tuple(merge(self._requirements, pickled.imports.pins)),
            signature=self._trials[self._packed].signature,
            files=dict(self.additional_files),
            python=running_python(),
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        gpu: bool = False,
        arm64: bool | None = None,
        hub: str = "pypi",
        overwrite: bool = False,
    ) -> Path:
        """Writes the model as a Bazel package: pickle, BUILD.bazel, requirements; prints what it requires.

        In a Bazel workspace that is all, and the workspace's wheel hub must have the requirements. Elsewhere it is a
        workspace of its own, with locks for the platforms that were asked for.

        Args:
          path: a directory that is not there yet, or is empty.
          gpu: lock the wheels of the platforms with CUDA too.
          arm64: lock for arm64 (True), for amd64 (False), for both (None).
          hub: the name of the workspace's wheel hub.
          overwrite: replace what a former `save` wrote.

        Returns:
          The directory.

        Raises:
          SaveError: something is in the way, or a lock cannot be made.
          UnpicklableError: the function holds what cannot be pickled.
        """
        packed = self.pack()
        print(self.describe_requirements())
        return save_package(packed, Path(path), gpu=gpu, arm64=arm64, hub=hub, overwrite=overwrite)

    def publish(
        self,
        model_name: str,
        model_version: str,
        registry_user: str | None = None,
        registry_pass: str | None = None,
        *,
        requirements: str | Sequence[str] | None = None,
        fix_env: bool = True,
        gpu: bool = False,
        arm64: bool = False,
        sample_input_path: str | os.PathLike[str] | None = None,
        webhook: str | None = None,
        conda_env: object = None,
        platforms: Sequence[str] | None = None,
        registry: str | None = None,
        repository: str | None = None,
        tags: Sequence[str] | None = None,
        cross_build: Sequence[str] = (),
    ) -> dict[str, object]:
        """Packs the model and has its client build and push images of it; prints what it requires first.

        The image is `registry/repository:version`; `repository` is the user's name and the model's, in lower case, its
        punctuation dropped and its spaces as `-`. Without a registry, a user, and a registry of the service, nothing is
        pushed: `ChassisClient.download_tar` gets the image.

        Args:
          model_name: its name for people.
          model_version: its version, and the image's tag.
          registry_user: for the registry.
          registry_pass: for the registry; kept in memory, here and in the service.
          requirements: in place of what is detected for the same distributions; see `add_requirements`.
          fix_env: accepted for chassisml's sake: an image has a Python environment of its own in any case.
          gpu: for CUDA.
          arm64: for arm64 in place of amd64.
          sample_input_path: an input to try the model with before anything is sent.
          webhook: URL that gets the job as JSON once it has ended, signed: see `ChassisClient.webhook_secret`. Its
            address has to be public, or on the list of the service's operator.
          conda_env: refused: give the requirements.
          platforms: several at once, as one index: of amd64, amd64_gpu, arm64, arm64_gpu.
          registry: host or host:port.
          repository: path in the registry.
          tags: in place of the version.
          cross_build: distributions that may be built from their sources.

        Returns:
          The job; its `job_id` is what the client's methods take.

        Raises:
          ModelError: no client made the model.
          PublishOptionsError: options that contradict each other.
          ServiceError: the service refuses; ServiceUnreachableError: it does not answer.
          ChassisError: what is wrong with the model.
        """
        del fix_env
        if self._client is None:
            raise ModelError("the model has no client: make it with ChassisClient(…).create_model(…) to publish it")
        if conda_env is not None:
            raise PublishOptionsError(
                "conda_env: images are made of wheels; give what it holds for pip as `requirements`"
            )
        options = PublishOptions(
            registry_user=registry_user,
            registry_pass=registry_pass,
            platforms=chosen_platforms(platforms, gpu, arm64),
            registry=registry or "",
            repository=repository or "",
            tags=None if tags is None else tuple(tags),
            webhook=webhook,
            cross_build=tuple(cross_build),
        )
        self.describe(model_name=model_name, model_version=model_version)
        if requirements:
            self.add_requirements(requirements)
        if sample_input_path is not None:
            self.test(sample_input_path)
        packed = self.pack()
        print(self.describe_requirements(), file=sys.stderr)
        return self._client.publish(packed, options)

    def _items(self, test_input: object) -> list[Item]:
        names = [part.name for part in self.metadata.inputs]
        if self._trials[self._packed].signature in UNTYPED:
            return items(test_input, names[0])
        return typed_items(test_input, names)

    def _call(self, predictor: Predictor, batch: list[Item], request: Request | None) -> list[dict[str, bytes]]:
        return self._trials[predictor].call(self.metadata, self.additional_files, batch, request)

    @property
    def _packed(self) -> Predictor:
        """The function that an image has."""
        predictor = self._batch or self._single
        assert predictor is not None
        return predictor


def slug(name: str) -> str:
    """The name of a model's target, image and URL: lower case, punctuation dropped, spaces as `-`.

    Raises:
      ModelError: nothing of it is left.
    """
    plain = unicodedata.normalize("NFKD", name).lower()
    words = re.sub(r"[^a-z0-9\s_-]", "", plain).split()
    text = "-".join(re.sub(r"[_-]+", "-", word).strip("-") for word in words).strip("-")
    if not text:
        raise ModelError(f"model name {name!r}: expected at least one letter or digit of ASCII")
    return f"{text}-model" if text in _TARGETS or text.startswith("image-") else text
