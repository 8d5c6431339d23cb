"""What can be wrong with a model that is to be packaged."""

from __future__ import annotations

from chassis.errors import ChassisError


class PackagingError(ChassisError):
    """A model that cannot be packaged."""


class EntryPointError(PackagingError):
    """An entry point that cannot be imported, is not there, or is not a predict function."""


class MissingDependencyError(PackagingError):
    """A module that the model imports and its dependencies do not bring."""


class UnpicklableError(PackagingError):
    """A predict function that holds what cannot be pickled."""


class PickleVersionError(PackagingError):
    """A pickle that another minor version of Python made."""


class CorruptPickleError(PackagingError):
    """A file that is not a pickle, or not a whole one."""


class UnreproducibleError(PackagingError):
    """A pickle that holds something of the machine that made it."""
