"""pulled_base: an `oci_pull` of an image that the environment names, since the test's registry has another port each time."""

load("@chassis//rules:repositories.bzl", "oci_pull")

# Without a registry nothing is fetched unless a target asks for the base.
_NOWHERE = "127.0.0.1:1/base@sha256:" + "0" * 64

def _impl(mctx):
    image, _, digest = (mctx.os.environ.get("CHASSIS_E2E_BASE") or _NOWHERE).partition("@")
    oci_pull(
        name = "python_base",
        digest = digest,
        image = image,
        # The test makes a pair of its own.
        keys = ["//:base.pub"],
    )

pulled_base = module_extension(
    implementation = _impl,
    doc = "`@python_base`: the image that `CHASSIS_E2E_BASE` (host/path@digest) names.",
    environ = ["CHASSIS_E2E_BASE"],
)
