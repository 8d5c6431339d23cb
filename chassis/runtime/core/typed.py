"""What calls a predict function, whatever it takes: bytes, or something that is made of them."""

from __future__ import annotations

from chassis.errors import ChassisError
from chassis.runtime.core.predict import UNTYPED, Predict, PredictFunction


class TypedInputError(ChassisError):
    """An input that cannot be made, since the package that makes it is not there."""


def as_predict(function: PredictFunction) -> Predict:
    """What calls `function`; itself if it takes bytes, so that it pays for nothing else.

    Raises:
      TypedInputError: its input is made with a package that is not there.
    """
    if function.signature in UNTYPED:
        return function
    try:
        from chassis.runtime.codecs.typed_function import TypedFunction  # here, since many models need none

        return TypedFunction(function)
    except ImportError as error:
        raise TypedInputError(
            f"the function takes {function.signature}, which needs {error.name}, and that is not among the model's "
            "dependencies: add it to `deps` of the chassis_model"
        ) from error
