"""What ImageInfo and IndexInfo say that a reader of the layout needs, and what `bazel build` makes of an image."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("//rules/providers:image_info.bzl", "ImageInfo", "IndexInfo")

def _impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ImageInfo if ImageInfo in target else IndexInfo]
    files = info.files.to_list()
    asserts.true(env, info.layout in files, "the layout is not among its files")
    asserts.equals(env, sorted(ctx.attr.names), sorted([file.basename for file in files]))
    return analysistest.end(env)

_files_test = analysistest.make(
    _impl,
    attrs = {"names": attr.string_list(doc = "The files' names, one as often as there are files of it.")},
)

def _documents_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[ImageInfo if ImageInfo in target else IndexInfo]
    asserts.equals(env, [info.documents], target[DefaultInfo].files.to_list())

    # Bazel makes a target's runfiles, too, and a layout among them would bring every layer.
    asserts.equals(env, [], target[DefaultInfo].default_runfiles.files.to_list())
    return analysistest.end(env)

_documents_test = analysistest.make(
    _documents_impl,
    config_settings = {str(Label("//rules:layouts")): False},
)

def image_files_tests(name, files):
    """Makes tests for each image and a suite of them.

    Args:
      name: of the suite.
      files: image or index to the names of its files.
    """
    for image, names in files.items():
        _files_test(
            name = "%s_%s_test" % (name, image.rpartition(":")[2]),
            names = names,
            target_under_test = image,
        )
        _documents_test(
            name = "%s_%s_documents_test" % (name, image.rpartition(":")[2]),
            target_under_test = image,
        )
    native.test_suite(name = name, tests = [
        "%s_%s%s_test" % (name, image.rpartition(":")[2], kind)
        for image in files
        for kind in ["", "_documents"]
    ])
