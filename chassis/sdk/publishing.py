"""What `ChassisModel.publish` hands to a client: a packed model, and where its images go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chassis.errors import ChassisError
from chassis.packed_model.model import PackedModel


class PublishOptionsError(ChassisError, ValueError):
    """Options of `publish` that contradict each other, or that images cannot follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOptions:
    """Where the images of a model go, and what they are for.

    Attributes:
      registry_user: for the registry; None without one.
      registry_pass: for the registry; None without a user.
      platforms: of amd64, amd64_gpu, arm64, arm64_gpu; several become one index.
      registry: host or host:port; empty for the service's.
      repository: path in the registry; empty for the user's name and the model's.
      tags: None for the model's version.
      webhook: URL that gets the job as JSON once it has ended; None for none.
      cross_build: distributions that may be built from their sources.
    """

    registry_user: str | None = None
    registry_pass: str | None = field(default=None, repr=False)
    platforms: tuple[str, ...] = ("amd64",)
    registry: str = ""
    repository: str = ""
    tags: tuple[str, ...] | None = None
    webhook: str | None = None
    cross_build: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.registry_user) != bool(self.registry_pass):
            raise PublishOptionsError("registry_user and registry_pass go together: give both or neither")


class ModelPublisher(Protocol):
    """What publishes a packed model; `ChassisClient` does."""

    def publish(self, model: PackedModel, options: PublishOptions) -> dict[str, object]:
        """Has images of `model` built and pushed; returns the job."""


def chosen_platforms(platforms: Sequence[str] | None, gpu: bool, arm64: bool) -> tuple[str, ...]:
    """The platforms that `platforms`, or `gpu` and `arm64` in its place, name.

    Raises:
      PublishOptionsError: both do.
    """
    if platforms is None:
        return (("arm64" if arm64 else "amd64") + ("_gpu" if gpu else ""),)
    if gpu or arm64:
        raise PublishOptionsError("platforms says all of it: leave gpu and arm64 out")
    return tuple(platforms)
