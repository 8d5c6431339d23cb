"""Random faults, many times over: `bazel run //tests/publishing:campaign -- --runs 500`.

Each run publishes an image of chance through a proxy that breaks things by chance. Afterwards the tag must name an
image that skopeo pulls whole: the new one if the push succeeded, else the one before or none.
"""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from chassis.command_line.run import run_main
from chassis.errors import ChassisError
from chassis.oci.layout_reader import LayoutReader
from chassis.oci.push import PushOptions, push
from chassis.oci.registry.client import RegistryClient
from chassis.oci.registry.credentials import CredentialStore
from chassis.oci.registry.reference import parse_repository
from chassis.oci.registry.transport import Backoff, Cancellation, Transport
from tests.publishing.fault_proxy import FaultProxy, Harm, Request, Rule
from tests.publishing.registry_server import RegistryServer, skopeo
from tests.publishing.sample_images import sample_image

FLAGS = flags.FLAGS
flags.DEFINE_integer("runs", 500, "How many pushes.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "What chance starts from; the same seed gives the same images and faults.")

_LIMIT_SECONDS = 90.0
_NAMES = 5  # repositories that the pushes share
_MAX_LAYER_BYTES = 3 << 20


class CampaignError(ChassisError):
    """A push hung, or a tag names an image that is not whole."""


def main(argv: Sequence[str]) -> int:
    """Exit status 0 if every run left whole images only."""
    del argv
    folder = Path(tempfile.mkdtemp(prefix="chassis-campaign-"))
    outcomes: Counter[str] = Counter()
    tagged: dict[str, str] = {}
    begin = time.monotonic()
    try:
        with RegistryServer(folder / "registry") as registry, FaultProxy(registry.address) as proxy:
            for number in range(FLAGS.runs):
                outcomes[_run(random.Random(f"{FLAGS.seed}/{number}"), registry, proxy, folder, tagged)] += 1
    finally:
        shutil.rmtree(folder)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"{FLAGS.runs} runs in {time.monotonic() - begin:.0f} s, every tag whole: {counts}")
    return 0


def _run(
    chance: random.Random, registry: RegistryServer, proxy: FaultProxy, folder: Path, tagged: dict[str, str]
) -> str:
    """One push and the check of its tag; returns `pushed`, or the kind of error that ended it."""
    name = f"image{chance.randrange(_NAMES)}"
    sizes = [int(_MAX_LAYER_BYTES ** chance.random()) for _ in range(chance.randint(1, 4))]
    layout, digest = sample_image(folder / "layout", *sizes, seed=chance.getrandbits(32))
    proxy.rule = _faults(chance)
    cancellation = Cancellation()
    transport = Transport(backoff=Backoff(first=0.01, longest=0.1, longest_asked=0.2), cancellation=cancellation)
    begin = time.monotonic()
    outcome = "pushed"
    try:
        repository = parse_repository(f"{proxy.address}/{name}")
        client = RegistryClient(repository, transport, CredentialStore({"HOME": "/nonexistent"}))
        push(LayoutReader(layout), client, ["latest"], PushOptions(), cancellation)
    except ChassisError as error:
        outcome = type(error).__name__
    if time.monotonic() - begin > _LIMIT_SECONDS:
        raise CampaignError(f"a push took {time.monotonic() - begin:.0f} s")
    allowed = {digest} if outcome == "pushed" else {digest, tagged.get(name, "")}
    found = _pulled(registry, name, folder)
    if found not in allowed:
        raise CampaignError(f"{name}:latest names {found or 'nothing'}, expected one of {sorted(allowed)}")
    tagged[name] = found
    shutil.rmtree(layout)
    return outcome


def _pulled(registry: RegistryServer, name: str, folder: Path) -> str:
    """The digest of the image that the tag names, pulled whole by skopeo; "" if there is no tag."""
    repository = parse_repository(f"{registry.address}/{name}")
    client = RegistryClient(repository, Transport(), CredentialStore({"HOME": "/nonexistent"}))
    if not client.manifest_digest("latest"):
        return ""
    back = folder / "back"
    skopeo(folder, "copy", "--src-tls-verify=false", f"docker://{registry.address}/{name}:latest", f"oci:{back}")
    digest = LayoutReader(back).entry().digest
    shutil.rmtree(back)
    return digest


def _faults(chance: random.Random) -> Rule:
    """A rule that harms a share of the requests, at most so many of them."""
    left = [chance.choice([0, 1, 2, 4, 8, 1000])]
    share = chance.random() ** 2

    def rule(request: Request) -> Harm | None:
        if not left[0] or chance.random() > share:
            return None
        left[0] -= 1
        return chance.choice(
            [
                Harm(cut_request=chance.randrange(request.size + 1)),
                Harm(cut_request=chance.randrange(request.size + 1), hold=True),
                Harm(cut_answer=True),
                Harm(status=429, headers={"Retry-After": chance.choice(["0", "1", "never", "-5"])}),
                Harm(status=chance.choice([500, 502, 503, 504])),
                Harm(status=chance.choice([400, 403, 404, 413, 507]), body=b"{"),
                Harm(replace={"Docker-Content-Digest": "sha256:" + "0" * 64}),
                Harm(replace={"Location": "/nowhere"}),
                Harm(slow=20_000, slow_seconds=0.3),
            ]
        )

    return rule


if __name__ == "__main__":
    run_main(main)
