"""Tests of names.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":names.bzl", "names")

# Canonical names of Bazel 7, with and without bzlmod, and of Bazel 8 and 9.
_REPOSITORIES = {
    "": "",
    "+wheels+pypi": "pypi",
    "_main~wheels~pypi": "pypi",
    "bazel_tools": "bazel_tools",
    "chassis": "chassis",
    "chassis+": "chassis",
    "chassis+0.1.0": "chassis",
    "chassis++wheels+pypi__linux_amd64__numpy__whl": "pypi__linux_amd64__numpy__whl",
    "chassis+0.1.0+wheels+pypi": "pypi",
    "chassis~": "chassis",
    "chassis~0.1.0": "chassis",
    "chassis~~wheels~pypi": "pypi",
    "chassis~0.1.0~wheels~pypi": "pypi",
    "rules_python~~python~python_3_11_x86_64-unknown-linux-gnu": "python_3_11_x86_64-unknown-linux-gnu",
}

def _repository_name_test_impl(ctx):
    env = unittest.begin(ctx)
    for canonical, wanted in _REPOSITORIES.items():
        asserts.equals(env, wanted, names.repository_name(canonical), canonical)
    return unittest.end(env)

_repository_name_test = unittest.make(_repository_name_test_impl)

# Short path of a file to the repository and the path in it.
_FILES = {
    "../team+/ml/model.py": ("team+", "ml/model.py"),
    "../team~/model.py": ("team~", "model.py"),
    "external/model.py": ("", "external/model.py"),
    "ml/model.py": ("", "ml/model.py"),
}

def _file_test_impl(ctx):
    env = unittest.begin(ctx)
    for short_path, (repository, path) in _FILES.items():
        file = struct(short_path = short_path)
        asserts.equals(env, repository, names.repository_of(file), short_path)
        asserts.equals(env, path, names.path_in_repository(file), short_path)
    return unittest.end(env)

_file_test = unittest.make(_file_test_impl)

# The model's repository, a path's repository, the path; and where the code has it.
_PATHS = {
    ("", "", ""): "",
    ("", "", "ml/a.py"): "ml/a.py",
    ("", "lib~", ""): "external/lib",
    ("", "lib~", "a.py"): "external/lib/a.py",
    ("", "team++python+lib", "a.py"): "external/lib/a.py",
    ("lib", "lib", "a.py"): "a.py",
    ("team+", "", "a.py"): "external/main/a.py",
    ("team+", "team+", "ml/a.py"): "ml/a.py",
    ("team~", "lib", "a.py"): "external/lib/a.py",
}

def _code_path_test_impl(ctx):
    env = unittest.begin(ctx)
    for (own, repository, path), wanted in _PATHS.items():
        asserts.equals(env, wanted, names.code_path(own, repository, path), "%s of %r, model in %r" % (path, repository, own))
    return unittest.end(env)

_code_path_test = unittest.make(_code_path_test_impl)

def _label_test_impl(ctx):
    env = unittest.begin(ctx)
    wanted = {
        "": "//ml:image",
        "team++python+lib": "@lib//ml:image",
        "team~": "@team//ml:image",
    }
    for repository, people in wanted.items():
        label = struct(name = "image", package = "ml", repo_name = repository)
        asserts.equals(env, people, names.label_for_people(label))
        asserts.equals(env, "//ml:image", names.label_in_image(label))
    return unittest.end(env)

_label_test = unittest.make(_label_test_impl)

def names_tests(name):
    unittest.suite(
        name,
        _repository_name_test,
        _file_test,
        _code_path_test,
        _label_test,
    )
