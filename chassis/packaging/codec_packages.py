"""The packages that the inputs of typed functions are made with."""

from __future__ import annotations

from chassis.packaging.errors import MissingDependencyError
from chassis.packaging.imports import is_importable
from chassis.packaging.signature import read_signature

_PACKAGES = {
    "array": ("numpy", "numpy"),
    "arrays": ("numpy", "numpy"),
    "image": ("PIL", "pillow"),
    "table": ("pandas", "pandas"),
}
"""By signature, the module and its distribution."""


def check_packages(described: str) -> None:
    """Checks that what an input is made with is among the model's dependencies; `described` is `describe_signature`'s.

    Raises:
      MissingDependencyError: it is not; the image would say so when it starts.
    """
    signature = (read_signature(described) or ("", False))[0]
    module, distribution = _PACKAGES.get(signature, ("", ""))
    if module and not is_importable(module):
        raise MissingDependencyError(
            f"the function takes {signature}, which is made with {distribution}, and that is not among the model's "
            f'dependencies\n  add it to `deps` of the chassis_model: "@pypi//{distribution}", if that is your hub'
        )
