"""A user for any uid: OpenShift, for one, runs images as 1000660000, with `HOME=/`, on a root that is read-only.

Libraries ask for the user's name and keep caches in their home; both are there then, the home in /tmp if need be.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping

_NAME = "chassis"
_CACHES = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "MPLCONFIGDIR": ".config/matplotlib",
    "NUMBA_CACHE_DIR": ".cache/numba",
}


def settle_user(environment: MutableMapping[str, str]) -> None:
    """Sets USER if the user has no name, and HOME with the places of caches if the home cannot be written."""
    import pwd

    home = environment.get("HOME", "")
    try:
        entry = pwd.getpwuid(os.getuid())
        home = home or entry.pw_dir
    except KeyError:
        environment.setdefault("USER", _NAME)
        environment.setdefault("LOGNAME", environment["USER"])
    if home and os.access(home, os.W_OK | os.X_OK):
        return
    place = f"{environment.get('TMPDIR') or '/tmp'}/home-{os.getuid()}"
    with contextlib.suppress(OSError):
        os.makedirs(place, mode=0o700, exist_ok=True)  # noqa: PTH103
    if not os.access(place, os.W_OK | os.X_OK) or os.stat(place).st_uid != os.getuid():  # noqa: PTH116
        return
    environment["HOME"] = place
    for name, path in _CACHES.items():
        environment.setdefault(name, f"{place}/{path}")
