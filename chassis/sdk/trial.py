"""A model's function, called in this Python as the server in an image would call it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from chassis.call import Request
from chassis.declaration.model import ModelMetadata
from chassis.errors import ChassisError
from chassis.packaging.completion import complete
from chassis.packaging.signature import Predictor, declared_by, resolve_signature, takes_request, unwrapped
from chassis.packed_model.model import check_key
from chassis.runtime.core.answer import Answer
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.loader import Loader, Records
from chassis.runtime.core.predict import PredictFunction
from chassis.runtime.core.typed import TypedInputError, as_predict
from chassis.sdk.inputs import Item


class ModelError(ChassisError, ValueError):
    """A model that cannot be made of what was given."""


class ModelTestError(ChassisError, RuntimeError):
    """A predict function that failed on an input, or did not return what its kind promises."""


class Trial:
    """A function to be tried; what it loads, it loads once.

    Attributes:
      signature: what one item is for the function (chassis/declaration/model_json.py).
      declared: fields of the metadata that the function's annotations say.
    """

    def __init__(self, predictor: Predictor, batch_size: int) -> None:
        """Takes the function, and the most inputs of one call; 0 if it takes one input.

        Raises:
          EntryPointError: a function that takes something else than the input, with what was loaded before it.
        """
        self._predictor = predictor
        self._batch_size = batch_size
        self._name = name_of(predictor)
        self.signature = resolve_signature(predictor, self._name, "auto", batch_size)
        self.declared = declared_by(predictor)
        self._takes_request = takes_request(predictor, self._name, batch_size)
        self._loaded: Callable[..., object] | None = None

    def call(
        self, metadata: ModelMetadata, files: Mapping[str, Path], batch: Sequence[Item], request: Request | None
    ) -> list[dict[str, bytes]]:
        """Calls it once with the items of `batch`, each with `request`; `files` are what `chassis.data_path` finds.

        Returns:
          For each item its outputs: name to content, as they would be sent.

        Raises:
          EntryPointError: the model declares something else than the function takes.
          ModelError: there is a request, and the function takes none.
          ModelTestError: the function failed, or returned what cannot be sent.
        """
        if request is not None and not self._takes_request:
            wanted = "requests" if self._batch_size else "request"
            raise ModelError(f"{self._name} takes no request: give it a second parameter called `{wanted}`")
        metadata = complete(metadata, self.signature, self.declared)
        contract = Contract(
            metadata.inputs,
            metadata.outputs,
            one_input=self.signature not in ("mapping", "arrays"),
            takes_request=self._takes_request,
            signature=self.signature,
            columns=metadata.columns,
        )
        for item in batch:
            refusal = contract.refusal(item)
            if refusal:
                raise ModelTestError(f"{self._name}: {refusal.error}")
        with _data(files):
            called = PredictFunction(self._function(), self.signature, self._batch_size, contract)
            try:
                predict = as_predict(called)
            except TypedInputError as error:
                raise ModelTestError(f"{self._name}: {error}") from None
            try:
                answers = predict(batch, [request] * len(batch) if request is not None else ())
            except Exception as error:
                raise ModelTestError(f"{self._name} failed: {type(error).__name__}: {error}") from error
        return [self._output(place, answer) for place, answer in enumerate(answers)]

    def _function(self) -> Callable[..., object]:
        if not isinstance(self._predictor, Loader | Records):
            return self._predictor
        if self._loaded is None:
            try:
                self._loaded = self._predictor.loaded()
            except Exception as error:
                loader = self._predictor.predictor if isinstance(self._predictor, Records) else self._predictor
                called = name_of(getattr(loader, "load", None) or loader)
                raise ModelTestError(f"{called} failed to load: {type(error).__name__}: {error}") from error
        return self._loaded

    def _output(self, place: int, answer: Answer) -> dict[str, bytes]:
        if answer.output is None:
            raise ModelTestError(f"{self._name}, result {place}: {answer.error}")
        return dict(answer.output)


def name_of(predictor: Predictor) -> str:
    """The name of a function, or of a class, for people."""
    function = unwrapped(predictor)
    return getattr(function, "__name__", type(function).__name__)


@contextlib.contextmanager
def _data(files: Mapping[str, Path]) -> Iterator[None]:
    """Lays files out as an image does if there are any."""
    if not files:
        yield
        return
    before = os.environ.get("CHASSIS_DATA")
    with tempfile.TemporaryDirectory(prefix="chassis-data-") as directory:
        for key, file in files.items():
            link = Path(directory) / check_key(key)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
        os.environ["CHASSIS_DATA"] = directory
        try:
            yield
        finally:
            if before is None:
                del os.environ["CHASSIS_DATA"]
            else:
                os.environ["CHASSIS_DATA"] = before
