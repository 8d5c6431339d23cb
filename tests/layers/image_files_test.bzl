"""What ImageInfo and IndexInfo say that a reader of the layout needs."""

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

def image_files_tests(name, files):
    """Makes a test for each image and a suite of them.

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
    native.test_suite(name = name, tests = ["%s_%s_test" % (name, image.rpartition(":")[2]) for image in files])
