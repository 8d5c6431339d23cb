"""Tests of the readers of wheel locks, as Bazel's own Starlark runs them."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":lock_target.bzl", "LOCK_PLATFORMS", "lock_target", "lock_variant")
load(":python_markers.bzl", "python_markers")
load(":python_name.bzl", "normalize_name")
load(":python_version.bzl", "python_version")
load(":requirements_lock.bzl", "requirements_lock")
load(":toml.bzl", "TOML_LINE", "toml")
load(":wheel_lock.bzl", "wheel_lock")

_HASH = "0123456789abcdef" * 4
_OTHER = "fedcba9876543210" * 4
_SHA = " --hash=sha256:" + _HASH
_PIN = "numpy==2.3.1" + _SHA

def _read(text, file = "//:lock.txt", more = {}):
    return wheel_lock.read(struct(file = file, texts = {file: text} | more))

def _select(text, platform = "linux_arm64_py311", file = "//:lock.txt", more = {}, extras = [], groups = []):
    return wheel_lock.select(_read(text, file, more), lock_target(platform), extras, groups)

def _versions(selected):
    return {name: pin.version for name, pin in selected.pins.items()}

# Lock text to (the distribution that cannot be had, what its error holds).
_PROBLEMS = {
    "numpy" + _SHA: ("numpy", "expected a pinned `name==version`, found: numpy"),
    "numpy>=2" + _SHA: ("numpy", "expected a pinned `name==version`, found: numpy>=2"),
    "numpy==2.*" + _SHA: ("numpy", "expected a pinned `name==version`"),
    "numpy==2.3.1": ("numpy", "//:lock.txt, line 1: numpy==2.3.1 has no --hash"),
    "numpy==2.3.1 --hash=md5:abc": ("numpy", "md5:abc is not a hash"),
    "numpy==2.3.1 --hash=sha256:abc": ("numpy", "sha256:abc is not a hash"),
    "numpy==2.3.1 --hash=sha256:" + "x" * 64: ("numpy", "is not a hash"),
    "numpy==two" + _SHA: ("numpy", "two is not a version"),
    "numpy @ https://files.test/numpy-2.3.1-py3-none-any.whl" + _SHA: ("numpy", "it comes from an address, numpy-2.3.1-py3-none-any.whl: lock"),
    "numpy @ https://files.test/a.whl?token=SECRET" + _SHA: ("numpy", "it comes from an address, a.whl: lock"),
    "numpy @ https://files.test?token=/SECRET" + _SHA: ("numpy", "it comes from an address: lock"),
    "numpy@https://u:p;/SECRET@files.test/a ; python_version > '3'" + _SHA: ("numpy", "it comes from an address: lock"),
    "numpy @ git+https://me:SECRET@git.test/team/a#subdirectory=SECRET": ("numpy", "it comes from an address, a: lock"),
    "numpy==1 https://me:SECRET@files.test" + _SHA: ("numpy", "<address> is not a version"),
    "numpy>=1 @ https://me:SECRET@files.test" + _SHA: ("numpy", "found: <address>"),
    _PIN + "\nNumPy==2.3.2" + _SHA: ("numpy", "numpy is pinned to 2.3.2, and on line 1 to 2.3.1, and both hold for linux_arm64"),
    "numpy==2.3.1 ; python_version >> '3'" + _SHA: ("numpy", "expected a comparison of a variable with a text"),
    "# numpy-2.3.1-cp311-cp311-manylinux_2_28_x86_64.whl\n" + _PIN: ("numpy", "is built for manylinux_2_28_x86_64, but linux_arm64 needs aarch64 or any"),
    "# numpy-2.3.1-cp311-cp311-win_arm64.whl\n" + _PIN: ("numpy", "is built for win_arm64"),
    "# numpy-2.3.1-cp312-cp312-manylinux_2_28_aarch64.whl\n" + _PIN: ("numpy", "does not run on CPython 3.11.2"),
    "# scipy-2.3.1-py3-none-any.whl\n" + _PIN: ("numpy", "a wheel of another distribution"),
    "# numpy-2.3.2-py3-none-any.whl\n" + _PIN: ("numpy", "a wheel of another version than 2.3.1"),
    "# numpy.whl\n" + _PIN: ("numpy", "is not a wheel's file name"),
    "# scipy-2.3.1.tar.gz\n" + _PIN: ("numpy", "an sdist of another distribution or version"),
    "# numpy-2.3.0.tar.gz\n" + _PIN: ("numpy", "an sdist of another distribution or version"),
    "<" * 7 + " ours\nnumpy==1.0" + _SHA + "\n" + "=" * 7 + "\nnumpy==2.0" + _SHA + "\n" + ">" * 7 + " theirs\nidna==3.0" + _SHA: ("numpy", "lies between conflict marks"),
}

# What makes every package of a lock an error: nobody can say whose line it is.
_BROKEN = {
    _PIN + "\n--hash=sha256:" + _HASH: "line 2: a --hash without its requirement",
    _PIN + "\n--nonsense": "line 2: option `--nonsense` cannot be read",
    _PIN + "\n-r gone.txt": "gone.txt, which //:lock.txt includes, cannot be found",
    _PIN + "\n--nonsense https://me:SECRET@files.test": "line 2: option `--nonsense` cannot be read",
    _PIN + "\n--https://me:SECRET@files.test": "line 2: option `<address>` cannot be read",
    _PIN + "\n-r https://me:SECRET@files.test/a.txt": "line 2: `-r` of an address cannot be read: put that file beside the lock",
    _PIN + "\nme:SECRET@files.test/a": "line 2: expected a pinned `name==version`, found: <address>",
    _PIN + "\n!what": "line 2: expected a pinned `name==version`, found: !what",
}

def _problems_test_impl(ctx):
    env = unittest.begin(ctx)
    for text, (name, wanted) in _PROBLEMS.items():
        found = _select(text)
        said = found.problems.get(name, "nothing")
        asserts.true(env, wanted in said, "%r\n  gave %s\n  expected %s" % (text, said, wanted))
        asserts.false(env, name in found.pins, text)
        asserts.false(env, "SECRET" in said, said)
    for text, wanted in _BROKEN.items():
        said = _select(text).problems.get("numpy", "nothing")
        asserts.true(env, wanted in said, "%r\n  gave %s\n  expected %s" % (text, said, wanted))
        asserts.false(env, "SECRET" in said, said)
    unfinished = _select("<" * 7 + " ours\nnumpy==1.0\n" + "=" * 7 + "\n" + ">" * 7 + " x\nidna==3.0" + _SHA)
    asserts.equals(env, {"idna": "3.0"}, _versions(unfinished), "what is outside of the marks is read")
    return unittest.end(env)

_problems_test = unittest.make(_problems_test_impl)

_UNIVERSAL = """\
--index-url https://index.test/simple
--only-binary :all:
-r more/base.txt
-e .
# scikit_learn-1.7.0-cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64.whl
Scikit_Learn==1.7.0 ; platform_machine == "aarch64" \\
    --hash=sha256:{hash}
    # via -r x.in
requests[SOCKS,use_chardet.On]==2.34.2 --hash sha256:{hash} --hash=sha512:abc
torch==2.13.0+cpu ; platform_machine == 'x86_64' --hash=sha256:{hash}
torch==2.13.0 ; platform_machine != 'x86_64' --hash=sha256:{other}
idna==3.10 ; python_version < "3.9" --hash=sha256:{hash}
idna==3.20 ; python_version >= "3.9" --hash=sha256:{other}
colorama==1.0 ; sys_platform == "win32" --hash=sha256:{hash}
typing-extensions==4.0 ; python_full_version < "3.13" --hash=sha256:{hash}
typing_extensions==4.0 ; python_version < "3.12" --hash=sha256:{other}
""".format(hash = _HASH, other = _OTHER)

# What stands in a lock without a pin, to what is said of it: no credentials.
_PLACES = {
    "--editable me:SECRET@git.test/a": "--editable <address>",
    "--extra-index-url\thttps://me:SECRET@index.test": None,
    "-e ours": "-e ours",
    "-e a @ git+https://me:SECRET@git.test/a": "-e a",
    "-e git+https://git.test/team/a?token=SECRET#egg=a": "-e a",
    "-e git+https://me:SECRET@git.test/team/a#egg=a": "-e a",
    "./ours/a": "./ours/a",
    "//me:SECRET@files.test/x": "x",
    "file:///srv/a-1.0-py3-none-any.whl" + _SHA: "a-1.0-py3-none-any.whl",
    "file:ours/a": "file:ours/a",
    "git+https://git.test/team/a@main#egg=a": "<address>",
    "git+https://me:SECRET@git.test#egg=a": "<address>",
    "https://files.test/a.whl?private_token=SECRET": "a.whl",
    "https://files.test/team/a/": "a",
    "https://me:SECRET@files.test": "<address>",
    "https://me:SECRET@files.test/a-1.0-py3-none-any.whl" + _SHA: "a-1.0-py3-none-any.whl",
    "https://me:SECRET@files.test\t--hash=sha256:" + _HASH: "<address>",
    "https://u:p/SECRET@files.test": "<address>",
    "https://u:p/SECRET;p@files.test/a": "<address>",
    "https://u:p/SECRET?p@files.test/a": "<address>",
    "ours/a ; python_version > '3'": "ours/a",
    "ours/a@1": "ours/a@1",
    "u:p/SECRET@files.test": "<address>",
}

def _requirements_test_impl(ctx):
    env = unittest.begin(ctx)
    more = {"more/base.txt": "-r ../deep.txt\nclick==8.0" + _SHA, "deep.txt": "h2==4.0" + _SHA}
    both = {"click": "8.0", "h2": "4.0", "idna": "3.20", "requests": "2.34.2", "typing-extensions": "4.0"}
    arm64 = _select(_UNIVERSAL, "linux_arm64_py311", more = more)
    asserts.equals(env, {}, arm64.problems)
    asserts.equals(env, both | {"scikit-learn": "1.7.0", "torch": "2.13.0"}, _versions(arm64))
    asserts.equals(env, both | {"torch": "2.13.0+cpu"}, _versions(_select(_UNIVERSAL, "linux_amd64_py311", more = more)))
    asserts.equals(env, ["socks", "use-chardet-on"], arm64.pins["requests"].extras)
    asserts.equals(env, [_HASH, _OTHER], arm64.pins["typing-extensions"].hashes)
    asserts.true(env, arm64.pins["scikit-learn"].wheel.endswith("manylinux2014_aarch64.whl"))
    asserts.equals(env, "//:lock.txt, line 6", arm64.pins["scikit-learn"].where)
    asserts.equals(env, "more/base.txt, line 2", arm64.pins["click"].where)
    notes = _read(_UNIVERSAL, more = more).notes
    asserts.equals(env, 2, len(notes), str(notes))
    asserts.true(env, "--index-url (line 1)" in notes[1], notes[1])
    for line, said in _PLACES.items():
        places = line + "\nidna==3.10" + _SHA
        asserts.equals(env, {"idna": "3.10"}, _versions(_select(places)), line)
        notes = _read(places).notes
        if said:
            asserts.equals(env, ["//:lock.txt, line 1: `%s` is not locked" % said], notes)
        asserts.false(env, "SECRET" in str(notes), str(notes))
    asserts.equals(env, "more/deep.txt", requirements_lock.resolve("//more:base.txt", "./x/../deep.txt"))
    sdist = _select("# zope_interface-1.0.tar.gz\r\nzope.interface==1.0" + _SHA)
    asserts.equals(env, "zope_interface-1.0.tar.gz", sdist.pins["zope-interface"].sdist)
    renewals = {
        "# Wheels.\n# Renew with: bazel run //ml:locks\n": "bazel run //ml:locks",
        "# This file was autogenerated by uv via the following command:\n#    uv pip compile x.in -o y.txt\n": "uv pip compile x.in -o y.txt",
        "numpy==1\n": "",
    }
    for text, wanted in renewals.items():
        asserts.equals(env, wanted, _read(text).renew)
    return unittest.end(env)

_requirements_test = unittest.make(_requirements_test_impl)

_UV = """\
version = 1
revision = 3
requires-python = ">=3.11"
conflicts = [[
    {{ package = "team", extra = "cpu" }},
    {{ package = "team", extra = "gpu" }},
]]

[[package]]
name = "socks"
version = "1"
source = {{ registry = "https://index.test/simple" }}
wheels = [{{ url = "https://files.test/socks-1-py3-none-any.whl", hash = "sha256:{hash}" }}]

[[package]]
name = "sources"
version = "1"
source = {{ git = "https://code.test/sources" }}

[[package]]
name = "team"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "web", extra = ["socks"] }},
    {{ name = "sources" }},
    {{ name = "torch", version = "1", marker = "extra == 'extra-4-team-cpu'" }},
    {{ name = "torch", version = "2", marker = "extra == 'extra-4-team-gpu'" }},
]

[package.optional-dependencies]
cpu = []
gpu = []

[package.dev-dependencies]
Serve = [{{ name = "torch", version = "1" }}]

[[package]]
name = "torch"
version = "1"
source = {{ registry = "https://index.test/simple" }}
wheels = [
    {{ url = "https://files.test/torch-1-cp311-cp311-manylinux_2_28_x86_64.whl", hash = "sha256:{hash}" }},
    {{ url = "https://files.test/torch-1-cp311-cp311-manylinux_2_28_aarch64.whl", hash = "sha256:{other}" }},
]

[[package]]
name = "torch"
version = "2"
source = {{ registry = "https://index.test/simple" }}
wheels = [{{ url = "https://files.test/torch-2-cp311-cp311-manylinux_2_28_x86_64.whl", hash = "sha256:{hash}" }}]

[[package]]
name = "web"
version = "1"
source = {{ registry = "https://index.test/simple" }}
sdist = {{ url = "https://files.test/web-1.tar.gz", hash = "sha256:{hash}" }}

[package.optional-dependencies]
socks = [{{ name = "socks", marker = "platform_machine == 'aarch64'" }}]
""".format(hash = _HASH, other = _OTHER)

def _uv_test_impl(ctx):
    env = unittest.begin(ctx)
    file = "//:uv.lock"
    cpu = _select(_UV, "linux_arm64_py311", file, extras = ["CPU"])
    asserts.equals(env, {"socks": "1", "torch": "1", "web": "1"}, _versions(_select(_UV, "linux_arm64_py311", file, extras = ["cpu"])))
    asserts.equals(env, {"torch": "2", "web": "1"}, _versions(_select(_UV, "linux_amd64_py311", file, extras = ["gpu"])))
    asserts.true(env, "sources comes from git" in cpu.problems["sources"], cpu.problems["sources"])
    cpu = _select(_UV, "linux_arm64_py311", file, extras = ["cpu"])
    asserts.equals(env, "torch-1-cp311-cp311-manylinux_2_28_aarch64.whl", cpu.pins["torch"].wheel)
    asserts.equals(env, [_OTHER], cpu.pins["torch"].hashes)
    asserts.equals(env, {"": [], "socks": [["socks", []]]}, cpu.pins["web"].requires)
    asserts.equals(env, "web-1.tar.gz", cpu.pins["web"].sdist)
    other_cpu = _select(_UV, "linux_arm64_py311", file, extras = ["gpu"]).problems["torch"]
    asserts.true(env, "has no wheel for CPython 3.11.2, aarch64" in other_cpu, other_cpu)
    asserts.true(env, other_cpu.endswith("the lock has torch-2-cp311-cp311-manylinux_2_28_x86_64.whl\n  lock a version with a wheel for this one"), other_cpu)
    asserts.equals(env, {"torch": "1", "web": "1"}, _versions(_select(_UV, "linux_amd64_py311", file, groups = ["serve"])))
    asserts.true(env, "both are asked for" in _select(_UV, "linux_amd64_py311", file, extras = ["cpu", "gpu"]).problems["torch"])
    asserts.true(env, "has no extra tpu: it has cpu, gpu" in _select(_UV, "linux_amd64_py311", file, extras = ["tpu"]).problems["web"])
    wanted = "needs Python >=3.12, and the image has 3.11.2: give the image such a Python, or lock for 3.11"
    asserts.true(env, wanted in _select(_UV.replace(">=3.11", ">=3.12"), file = file).problems["web"])
    other_python = _select(_UV, "linux_amd64", file, extras = ["gpu"]).problems["torch"]
    asserts.true(env, "has no wheel for CPython 3.13.5, x86_64" in other_python, other_python)
    asserts.true(env, "the lock has torch-2-cp311-cp311-manylinux_2_28_x86_64.whl\n  give the image a Python that one of them is for (3.11), or lock" in other_python, other_python)
    merge = "<" * 7 + " ours\n" + _UV
    asserts.true(env, "//:uv.lock, line 1: conflict marks" in _select(merge, file = file).problems["torch"])
    asserts.true(env, "line 4: expected" in _select(_UV.replace("conflicts = [[", "conflicts"), file = file).problems["torch"])
    asserts.equals(env, "uv lock", _read(merge, file).renew)
    return unittest.end(env)

_uv_test = unittest.make(_uv_test_impl)

_PYLOCK = """\
lock-version = "1.0"
created-by = "pip"
extras = ["fast"]
dependency-groups = ["web", "notebooks"]
default-groups = ["web"]
environments = ["sys_platform == 'linux'"]

[[packages]]
name = "Numpy"
version = "2.3.1"
wheels = [
    {{ name = "numpy-2.3.1-cp311-cp311-macosx_11_0_arm64.whl", hashes = {{ sha256 = "{hash}" }} }},
    {{ url = "https://files.test/numpy-2.3.1-cp311-cp311-manylinux_2_28_aarch64.whl?x=y", hashes = {{ sha256 = "{other}" }} }},
]

[[packages]]
name = "quick"
version = "1"
marker = "'fast' in extras"
wheels = [{{ path = "wheels/quick-1-py3-none-any.whl", hashes = {{ sha256 = "{hash}" }} }}]

[[packages]]
name = "jupyter"
version = "1"
marker = "'notebooks' in dependency_groups"
sdist = {{ name = "jupyter-1.tar.gz", hashes = {{ sha256 = "{hash}" }} }}

[[packages]]
name = "served"
version = "1"
marker = "'web' in dependency_groups"
wheels = [{{ name = "served-1-py3-none-any.whl", hashes = {{ md5 = "{hash}" }} }}]

[[packages]]
name = "sources"
version = "1"
vcs = {{ type = "git", url = "https://code.test/sources", commit-id = "1" }}
""".format(hash = _HASH, other = _OTHER)

def _pylock_test_impl(ctx):
    env = unittest.begin(ctx)
    file = "//:pylock.toml"
    arm64 = _select(_PYLOCK, "linux_arm64_py311", file)
    asserts.equals(env, {"numpy": "2.3.1"}, _versions(arm64))
    asserts.equals(env, "numpy-2.3.1-cp311-cp311-manylinux_2_28_aarch64.whl", arm64.pins["numpy"].wheel)
    asserts.equals(env, "//:pylock.toml, line 8", arm64.pins["numpy"].where)
    asserts.true(env, "served-1-py3-none-any.whl has no sha256" in arm64.problems["served"], "the default group")
    asserts.true(env, "sources comes from a repository of sources" in arm64.problems["sources"])
    asserts.equals(env, ["numpy", "quick"], sorted(_select(_PYLOCK, "linux_arm64_py311", file, extras = ["Fast"], groups = ["web"]).pins))
    notebooks = _select(_PYLOCK, "linux_arm64_py311", file, groups = ["notebooks"])
    asserts.equals(env, "jupyter-1.tar.gz", notebooks.pins["jupyter"].sdist)
    asserts.false(env, "served" in notebooks.problems)
    asserts.true(env, "the lock has numpy-2.3.1-cp311-cp311-macosx_11_0_arm64.whl" in _select(_PYLOCK, "linux_amd64_py311", file).problems["numpy"])
    asserts.true(env, "has no group x: it has web, notebooks" in _select(_PYLOCK, file = file, groups = ["x"]).problems["numpy"])
    asserts.true(env, "lock-version 2.0 is not known" in _select(_PYLOCK.replace('"1.0"', '"2.0"'), file = file).problems["numpy"])
    asserts.true(env, "is for other environments" in _select(_PYLOCK.replace("'linux'", "'win32'"), file = file).problems["numpy"])
    return unittest.end(env)

_pylock_test = unittest.make(_pylock_test_impl)

_MARKERS = {
    "": True,
    "'fast' in extras": False,
    "(python_version >= '3.10' and os_name == 'nt') or platform_machine == 'aarch64'": True,
    "extra == 'Big_Extra'": True,
    "extra != 'big.extra'": False,
    "not_a_variable == '1'": "not_a_variable is not a variable of markers",
    "platform_machine in 'aarch64 arm64'": True,
    "python_full_version < '3.11.3'": True,
    "python_version < '3.9'": False,
    "python_version == '3.*' and": "it ends too early",
    "python_version not in '3.9 3.10'": True,
    "python_version ~= '3.10'": True,
    "sys.platform == \"linux\" and python_implementation == 'CPython'": True,
    "(sys_platform == 'linux'": "a `(` without its `)`",
}

def _markers_test_impl(ctx):
    env = unittest.begin(ctx)
    environment = lock_target("linux_arm64_py311").environment(["big-extra"])
    for marker, wanted in _MARKERS.items():
        found = python_markers.evaluate(marker, environment)
        if type(wanted) == "string":
            asserts.true(env, wanted in str(found), "%s gave %s" % (marker, found))
        else:
            asserts.equals(env, wanted, found, marker)
    return unittest.end(env)

_markers_test = unittest.make(_markers_test_impl)

def _small_test_impl(ctx):
    env = unittest.begin(ctx)
    for name, wanted in {"A.B_c--D": "a-b-c-d", "numpy": "numpy", "zope.interface": "zope-interface"}.items():
        asserts.equals(env, wanted, normalize_name(name))
    ordered = ["1.0.dev1", "1.0a1.dev2", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0+cpu", "1.0+cpu.1", "1.0+5", "1.0.post1", "1.1", "1.10", "1!0.5"]
    keys = [python_version.key(python_version.parse(version)) for version in ordered]
    asserts.equals(env, keys, sorted(keys))
    asserts.equals(env, None, python_version.parse("1..0"))
    asserts.true(env, python_version.satisfies("3.11.2", ">=3.10, <4, !=3.12.*"))
    asserts.false(env, python_version.satisfies("3.11.2", ">=3.12"))
    document = toml.parse("\357\273\277a.b = [1, \"x\\ty\", { c = true }, ] # said\n[[p]]\nd = '''\n1\n2'''\n[p.q]\n\"e f\" = 0x1F\n")
    asserts.equals(env, {"a": {"b": [1, "x\ty", {"c": True}]}, "p": [{TOML_LINE: 2, "d": "1\n2", "q": {"e f": 31}}]}, document)
    asserts.equals(env, "line 2: a is given twice", toml.parse("a = 1\na = 2"))
    asserts.equals(env, ["cpu", "serve"], wheel_lock.chosen({"all": ["serve"], "cuda": ["cu130"], "none": ["cpu"]}, "linux_arm64"))
    asserts.equals(env, ["cu130", "orin", "serve"], wheel_lock.chosen({"all": ["serve"], "cuda": ["cu130"], "linux_arm64_gpu": ["orin"]}, "linux_arm64_gpu"))
    for platform in LOCK_PLATFORMS:
        asserts.equals(env, 0, lock_target(lock_variant(platform, "3.11")).tag_ranks["cp311-cp311-manylinux_2_36_" + LOCK_PLATFORMS[platform].machine])
    return unittest.end(env)

_small_test = unittest.make(_small_test_impl)

def lock_readers_tests(name):
    unittest.suite(name, _problems_test, _requirements_test, _uv_test, _pylock_test, _markers_test, _small_test)
