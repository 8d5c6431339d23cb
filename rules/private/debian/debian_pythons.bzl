"""debian_pythons: the repositories of each Python that Chassis brings, for the tools and for images, from its Debian release."""

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
    """The repository with the Python of a release unpacked, and its launcher, `//:python`."""
    return _FIRST_PYTHONS[architecture] if suite == _FIRST_SUITE else "chassis_python_%s_%s" % (suite, architecture)

def debian_headers(suite, architecture):
    """The repository with the headers of a release's Python."""
    return "chassis_python_headers_" + ("" if suite == _FIRST_SUITE else suite + "_") + architecture

def _python_root(suite, version, architecture, lock):
    name = debian_python(suite, architecture)
    debian_root(
        name = name,
        lock = lock,
        other_cpu = debian_python(suite, [other for other in ARCHITECTURES if other != architecture][0]),
        own_name = name,
        programs = {"python": "usr/bin/python" + version},
        pythonhome = "usr",
    )

def debian_pythons():
    """The repositories of the releases, but for the first one's base and headers. Each is fetched when it is first asked for."""
    for version, (_, _, suite) in PYTHONS.items():
        for architecture in ARCHITECTURES if suite else []:
            if suite == _FIRST_SUITE:
                _python_root(suite, version, architecture, Label("//platforms:python_%s.lock" % architecture))
                continue
            lock = Label("//base_images:%s_%s.lock" % (suite, architecture))
            debian_packages(name = "chassis_%s_%s" % (suite, architecture), lock = lock)
            _python_root(suite, version, architecture, lock)
            debian_root(
                name = debian_headers(suite, architecture),
                lock = Label("//platforms/zig:python_headers_%s_%s.lock" % (suite, architecture)),
            )
