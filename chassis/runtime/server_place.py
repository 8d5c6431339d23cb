"""Where the server's own process imports from: a place that the model's processes do not see, nor it theirs.

An image has the server's wheels in `/opt/chassis` and the model's in its virtual environment, so that each may need
another release of one package. `CHASSIS_SERVER_PATH` names the server's directories; the image sets it. The second of
them is the model's if it brings the same wheels, which are then in the image once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from chassis.errors import ChassisError

_OWN = "chassis"


class WheelsClashError(ChassisError):
    """Model and server, which are to share one process, need different releases of a package."""


def enter(path: Sequence[str]) -> None:
    """From now on this process imports from `path` and the standard library alone.

    To be called when the model's processes have been forked, before anything of a wheel is imported. What `.pth` files
    and `sitecustomize` of the model have imported is forgotten. The package `chassis` stays.
    """
    if not path:
        return
    kept = [entry for entry in sys.path if _is_standard(entry)]
    left = [entry for entry in sys.path if entry and entry not in kept and entry not in path]
    sys.path[:] = [*path, *kept]
    # Finders of editable installs and the like.
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__module__", "").startswith("_frozen")]
    own = sys.modules[_OWN].__path__[0]
    for name, module in list(sys.modules.items()):
        places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
        if name != "__main__" and any(_is_below(place, left) and not _is_below(place, [own]) for place in places):
            del sys.modules[name]


def share(path: Sequence[str]) -> None:
    """This process imports from `path` too: the model runs in it (`workers = 0`).

    Raises:
      WheelsClashError: a distribution of `path` is there in another release.
    """
    before = {name: version for entry in sys.path for name, version in _distributions(entry).items()}
    for entry in path:
        for name, version in sorted(_distributions(entry).items()):
            if before.get(name, version) != version:
                raise WheelsClashError(
                    f"CHASSIS_WORKERS=0 has the model in the server's own process, and {name} is {before[name]} for "
                    f"the model and {version} for the server; let the model have a process of its own "
                    "(CHASSIS_WORKERS=1)"
                )
    sys.path += [entry for entry in path if entry not in sys.path]


def _is_standard(entry: str) -> bool:
    library = os.__file__.rpartition("/")[0]
    if entry.rpartition("/")[2] in ("site-packages", "dist-packages"):
        return False
    return _is_below(entry, [library]) or entry.endswith(f"python{sys.version_info.major}{sys.version_info.minor}.zip")


def _is_below(path: object, directories: Sequence[str]) -> bool:
    return isinstance(path, str) and any(path == one or path.startswith(one + "/") for one in directories)


def _distributions(directory: str) -> dict[str, str]:
    """Name, as the directory has it in lower case, to version of what is installed in `directory`."""
    found = {}
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".dist-info"):
                distribution, _, version = entry.name.removesuffix(".dist-info").partition("-")
                found[distribution.lower()] = version
    return found
