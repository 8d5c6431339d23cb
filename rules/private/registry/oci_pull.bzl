"""oci_pull: an image of a registry as a base, its layers fetched one by one and only when an action needs them."""

load("//rules/private/declaration:declared.bzl", "MACHINES", "MAX_LAYERS")
load("//rules/private/tools:host_machine.bzl", "host_python")
load("//rules/private/tools:repository_process.bzl", "make_modes_plain", "run_fetching")

PULL_ATTRS = {
    "digest": attr.string(doc = "The image's or index's digest, `sha256:…`. Without it the error says which one to write."),
    "image": attr.string(mandatory = True, doc = "Registry and repository, such as `registry.example/python`; a tag in it is for people."),
    "insecure": attr.bool(doc = "Allow plain HTTP to a registry that is not on loopback."),
    "keys": attr.label_list(doc = "Public keys in PEM, such as `cosign.pub`: one has to have signed the digest, or nothing is taken."),
    "name": attr.string(mandatory = True, doc = "The repository's name."),
    "platforms": attr.string_list(doc = "The platforms to take of an index, such as `linux/arm64`: linux/amd64, linux/arm64."),
}

def _run(rctx, arguments):
    """Runs the pull tool on the pinned interpreter."""
    attr = rctx.attr
    image = attr.image + ("@" + attr.digest if attr.digest else "")
    workspace = rctx.path(attr._tool).dirname.dirname.dirname
    result = run_fetching(
        rctx,
        [host_python(rctx), "-P", rctx.path(attr._tool), "--image=" + image, "--output=" + str(rctx.path("."))] +
        (["--insecure"] if attr.insecure else []) + arguments,
        {"PYTHONPATH": "%s:%s" % (workspace, _urllib3(rctx))},
        timeout = 3600,
    )
    if result.return_code:
        fail("oci_pull %s: %s" % (attr.base_name, result.stderr.strip().removeprefix("error: ")))

def _urllib3(rctx):
    """The wheel of urllib3, which Python imports as it is."""
    return [
        path
        for path in rctx.path(rctx.attr._urllib3_build).dirname.readdir()
        if path.basename.endswith(".whl")
    ][0]

_TOOL_ATTRS = {
    "base_name": attr.string(mandatory = True, doc = "The name of the image's hub."),
    "digest": attr.string(),
    "image": attr.string(mandatory = True),
    "insecure": attr.bool(),
    "keys": attr.label_list(allow_files = True),
    "own_name": attr.string(mandatory = True, doc = "The repository's apparent name."),
    "platform": attr.string(),
    "_tool": attr.label(default = "//chassis/tools:pull.py"),
    "_urllib3_build": attr.label(default = "@chassis_tools__linux_amd64_py311__urllib3__whl//:BUILD.bazel"),
}

def _without_tag(image):
    """Registry and repository; the port of a registry stays."""
    registry, slash, path = image.partition("/")
    return registry + slash + path.partition(":")[0]

def _image_impl(rctx):
    attr = rctx.attr
    _run(
        rctx,
        (["--platform=" + attr.platform] if attr.platform else []) + ["--key=%s" % rctx.path(key) for key in attr.keys],
    )
    count = len(json.decode(rctx.read("layers.json")))
    if count > MAX_LAYERS:
        fail("oci_pull %s: the image has %d layers, runtimes take no more than %d" % (attr.base_name, count, MAX_LAYERS))
    rctx.file("BUILD.bazel", """\
load("@chassis//rules/private/registry:pulled_image.bzl", "pulled_image")

package(default_visibility = ["//visibility:public"])

exports_files(["layers.json"])

pulled_image(
    name = "image",
    config = "config.json",
    layers = [
%s    ],
    manifest = "manifest.json",
    source = %r,
)
""" % (
        "".join(['        "@%s__%d//:layer",\n' % (attr.own_name, number) for number in range(count)]),
        _without_tag(attr.image),
    ))
    make_modes_plain(rctx)

_pulled_image_repository = repository_rule(
    implementation = _image_impl,
    attrs = _TOOL_ATTRS,
    doc = "Manifest and configuration of an image in a registry.",
)

def _layer_impl(rctx):
    attr = rctx.attr
    image = attr.own_name.rpartition("__")[0]
    layers = rctx.path(Label("@@%s//:layers.json" % (rctx.name.removesuffix(attr.own_name) + image)))
    rctx.report_progress("layer %d of %s" % (attr.number, attr.image))
    _run(rctx, ["--layer=%d" % attr.number, "--layers_json=%s" % layers])
    rctx.file("BUILD.bazel", 'exports_files(["layer"], visibility = ["//visibility:public"])\n')
    make_modes_plain(rctx)

_pulled_layer_repository = repository_rule(
    implementation = _layer_impl,
    attrs = _TOOL_ATTRS | {"number": attr.int(mandatory = True)},
    doc = "One layer of an image in a registry.",
)

def _hub_impl(rctx):
    arms = []
    for platform, repository in rctx.attr.images.items():
        cpu = MACHINES.get(platform.split("/")[1])
        if not cpu:
            fail("oci_pull %s: platform %s: the CPU is one of %s" % (rctx.attr.own_name, platform, ", ".join(MACHINES)))
        arms.append('        "@platforms//cpu:%s": "@%s//:image",\n' % (cpu, repository))
    if len(rctx.attr.images) == 1:
        actual = '"@%s//:image"' % rctx.attr.images.values()[0]
    else:
        actual = "select({\n%s    }, no_match_error = %r)" % (
            "".join(arms),
            "@%s was pulled for %s alone: add to its `platforms`" % (rctx.attr.own_name, ", ".join(rctx.attr.images)),
        )
    rctx.file("BUILD.bazel", """\
alias(
    name = %r,
    actual = %s,
    visibility = ["//visibility:public"],
)
""" % (rctx.attr.own_name, actual))

_pulled_hub_repository = repository_rule(
    implementation = _hub_impl,
    attrs = {
        "images": attr.string_dict(mandatory = True, doc = "Platform to the repository that has its image; \"\" for the only one."),
        "own_name": attr.string(mandatory = True),
    },
    doc = "`@name`: the image for the target platform.",
)

def oci_pull(name, image, digest = "", platforms = [], insecure = False, keys = []):
    """An image of a registry, by digest: `@name` is an OCI layout that `chassis_image(base = …)` takes.

    Manifest and configuration are fetched first; each layer has a repository of its own, fetched when an action needs
    its bytes.

    Args:
      name: the repository's name.
      image: registry and repository, such as `registry.example/python`; a tag in it is for people.
      digest: the image's or index's digest. Without it the error says which one to write.
      platforms: the platforms to take of an index, such as `linux/arm64`; none if the digest is an image's.
      insecure: allow plain HTTP to a registry that is not on loopback.
      keys: labels of public keys in PEM, such as `cosign.pub`: one of them has to have signed the digest, or nothing is taken.
    """
    if "@" in image:
        fail("oci_pull(name = %r): image = %r: write the digest into `digest`" % (name, image))
    images = {}
    for platform in platforms or [""]:
        parts = platform.split("/")
        if platform and len(parts) not in [2, 3]:
            fail("oci_pull(name = %r): platform %r: os/architecture[/variant] is expected" % (name, platform))
        own_name = "_".join([name] + parts) if platform else name + "_image"
        images[platform or "linux/amd64"] = own_name
        common = {"base_name": name, "digest": digest, "image": image, "insecure": insecure}
        _pulled_image_repository(name = own_name, keys = keys, own_name = own_name, platform = platform, **common)
        for number in range(MAX_LAYERS):
            layer_name = "%s__%d" % (own_name, number)
            _pulled_layer_repository(name = layer_name, number = number, own_name = layer_name, **common)
    _pulled_hub_repository(name = name, images = images, own_name = name)
