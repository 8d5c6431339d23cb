#!/usr/bin/env python3
"""Runs a command with HOME, PATH and what says where packages come from, and with nothing else of this machine.

    tests/reproducibility/bare_environment.py COMMAND [ARGUMENT ...]

What passes only with a variable that some machine happens to export fails here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

_NAMES = {
    "APT_CONFIG",
    "CI",
    "CURL_CA_BUNDLE",
    "DOCKER_CONFIG",
    "HOME",
    "LOGNAME",
    "NETRC",
    "NODE_EXTRA_CA_CERTS",
    "PATH",
    "REGISTRY_AUTH_FILE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "USE_BAZEL_VERSION",
}
_PREFIXES = ("BAZELISK_", "CHASSIS_", "NPM_CONFIG_", "PIP_", "UV_", "XDG_")
_PROXIES = {"ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"}


def kept(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that a command is left with."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NAMES or name.upper().startswith(_PREFIXES) or name.upper() in _PROXIES
    }


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    os.execvpe(sys.argv[1], sys.argv[1:], kept(os.environ))
