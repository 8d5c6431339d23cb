"""debian_pythons: the repositories of each Python that Chassis brings for images, from its Debian release."""

load("//rules/private/declaration:declared.bzl", "PYTHONS")
load(":debian_repository.bzl", "debian_packages", "debian_root")

ARCHITECTURES = ["amd64", "arm64"]

# The release that the tools' Python is of, too, with repositories under older names.
_FIRST_SUITE = "bookworm"
_FIRST_PYTHONS = {
    "amd64": "chassis_python",
    "arm64": "chassis_python_arm64",
}

def debian_python(suite, architecture):
    """The repository with the Python of a release unpacked; amd64's has a launcher, `//:python`."""
    return _FIRST_PYTHONS[architecture] if suite == _FIRST_SUITE else "chassis_python_%s_%s" % (suite, architecture)

def debian_headers(suite, architecture):
    """The repository with the headers of a release's Python."""
    return "chassis_python_headers_" + ("" if suite == _FIRST_SUITE else suite + "_") + architecture

def debian_pythons():
    """The repositories of the releases but the first. Each is fetched when it is first asked for."""
    for version, (_, _, suite) in PYTHONS.items():
        for architecture in ARCHITECTURES:
            if suite in ["", _FIRST_SUITE]:
                continue
            lock = Label("//base_images:%s_%s.lock" % (suite, architecture))
            debian_packages(name = "chassis_%s_%s" % (suite, architecture), lock = lock)
            debian_root(
                name = debian_python(suite, architecture),
                lock = lock,
                programs = {"python": "usr/bin/python" + version} if architecture == "amd64" else {},
                pythonhome = "usr" if architecture == "amd64" else "",
            )
            debian_root(
                name = debian_headers(suite, architecture),
                lock = Label("//platforms/zig:python_headers_%s_%s.lock" % (suite, architecture)),
            )
