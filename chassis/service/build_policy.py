"""What a service lets builds do: behind which walls a client's code runs, and which distributions may be built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chassis.errors import ChassisError

STRATEGIES = ("linux-sandbox", "processwrapper-sandbox")
"""Bazel's strategies in which an action has its inputs alone before it; the stronger one first."""

_MNEMONICS = ("PickleModel", "BuildWheel")
"""The actions that run a client's code: loading the pickle to check it, and the build of an sdist that it names."""

_LOCKING = (
    *("HOME", "LANG", "LC_ALL", "LOGNAME", "NETRC", "PATH", "TMPDIR", "USER", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS"),
    *("XDG_CONFIG_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("all_proxy", "SSL_CERT_DIR", "SSL_CERT_FILE"),
)
_LOCKING_PREFIXES = ("PIP_", "UV_")


class SourcesRefusedError(ChassisError):
    """A distribution that this service does not build from its sources."""


@dataclass(frozen=True, slots=True)
class BuildPolicy:
    """What builds may do. Without arguments: those of a user's own code, in the user's own process.

    Attributes:
      strategy: the one of `STRATEGIES` in which a client's code runs, confined; "" leaves the choice to Bazel, and the
        code unconfined.
      buildable: normalised names of distributions that may be built from their sources; None for any.
    """

    strategy: str = ""
    buildable: frozenset[str] | None = None

    def options(self) -> tuple[str, ...]:
        """Of every build, on the command line: no bazelrc is stronger."""
        options = ("--worker_sandboxing", "--sandbox_default_allow_network=false", "--incompatible_strict_action_env")
        if not self.strategy:
            return options
        strategies = (f"--strategy={mnemonic}={self.strategy}" for mnemonic in _MNEMONICS)
        # An action that was killed leaves its directory as it is, for the next one; that would be another client's.
        return (*options, "--noreuse_sandbox_directories", "--@chassis//rules:confine=true", *strategies)

    def check_sources(self, names: Sequence[str]) -> None:
        """Checks what a job asks to have built from its sources.

        Raises:
          SourcesRefusedError: the operator does not let it.
        """
        refused = [name for name in names if self.buildable is not None and name not in self.buildable]
        if refused:
            allowed = ", ".join(sorted(self.buildable or ())) or "none"
            raise SourcesRefusedError(
                f"cross_build: this service does not build {', '.join(refused)} from sources, which is code of whoever "
                f"uploaded them; it builds {allowed}\n  its operator can allow it: --buildable={refused[0]}"
            )


def locking_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the program that locks gets of the service's environment: where the index is, and nothing else secret."""
    return {
        name: value for name, value in environment.items() if name in _LOCKING or name.startswith(_LOCKING_PREFIXES)
    }
