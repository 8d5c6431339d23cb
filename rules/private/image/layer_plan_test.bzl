"""Tests of layer_plan.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load(":layer_plan.bzl", "layer_plan")

_MAGNITUDES = {
    0: 0,
    3: 0,
    4: 1,
    16383: 6,
    16384: 7,
    900000000: 14,
}

def _magnitude_test_impl(ctx):
    env = unittest.begin(ctx)
    for size, expected in _MAGNITUDES.items():
        asserts.equals(env, expected, layer_plan.magnitude(size), "of %d" % size)
    return unittest.end(env)

_magnitude_test = unittest.make(_magnitude_test_impl)

def _wheels(sizes):
    return [struct(name = name, size = size) for name, size in sizes.items()]

def _layers(sizes, most = layer_plan.MOST):
    return [",".join(layer.names) for layer in layer_plan.plan(_wheels(sizes), most)]

# What a real image looks like: few big wheels, many small ones of every size.
def _many(count):
    return {
        "package-%d" % number: 1000 + number * number * 97 * (100 if number % 29 == 0 else 1)
        for number in range(1, count + 1)
    }

def _order_test_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, [], _layers({}))
    asserts.equals(
        env,
        ["torch", "numpy", "scipy", "attrs", "six", "own"],
        _layers({"attrs": 60000, "numpy": 18000000, "own": 0, "scipy": 36000000, "six": 11000, "torch": 900000000}),
    )

    # A wheel for each layer as long as they last.
    sizes = _many(layer_plan.MOST)
    asserts.equals(env, layer_plan.MOST, len(_layers(sizes)))
    return unittest.end(env)

_order_test = unittest.make(_order_test_impl)

def _limit_test_impl(ctx):
    env = unittest.begin(ctx)
    for count, most in [(81, 80), (120, 80), (400, 80), (30, 12), (30, 5), (30, 4), (30, 1)]:
        sizes = _many(count)
        layers = layer_plan.plan(_wheels(sizes), most)
        names = [name for layer in layers for name in layer.names]
        asserts.equals(env, sorted(sizes), sorted(names), "%d wheels in %d layers" % (count, most))
        asserts.true(env, len(layers) <= most, "%d wheels gave %d layers" % (count, len(layers)))
        asserts.true(env, len(layers) >= most * 4 // 5, "%d wheels gave only %d layers" % (count, len(layers)))
        for layer in layers:
            asserts.equals(env, sorted(layer.names), layer.names)
            asserts.equals(env, len(layer.names) == 1 and layer.share == None, layer.share == None)
    return unittest.end(env)

_limit_test = unittest.make(_limit_test_impl)

def _big_and_unknown_test_impl(ctx):
    env = unittest.begin(ctx)
    sizes = _many(200) | {"ours": 0, "torch": 9000000000}
    layers = _layers(sizes)
    asserts.equals(env, "torch", layers[0])
    asserts.equals(env, "ours", layers[-1])
    alone = [layer for layer in layers if "," not in layer]
    smallest_alone = min([layer_plan.magnitude(sizes[name]) for name in alone if sizes[name]])
    for layer in layers:
        for name in layer.split(",") if "," in layer else []:
            asserts.true(env, layer_plan.magnitude(sizes[name]) <= smallest_alone, name)
    return unittest.end(env)

_big_and_unknown_test = unittest.make(_big_and_unknown_test_impl)

def _changed(before, after):
    """How many layers of `after` are not in `before`."""
    return len([layer for layer in after if layer not in before])

def _stable_test_impl(ctx):
    env = unittest.begin(ctx)
    for count in [80, 81, 100, 300]:
        sizes = _many(count)
        before = _layers(sizes)
        for added, size in {"a": 0, "aaa": 1, "package": 50000, "zope": 30000000}.items():
            after = _layers(sizes | {added: size})
            limit = 3

            # The one step that changes more: from a layer each to shared ones. What is big stays.
            if count == layer_plan.MOST:
                limit = 18
            asserts.true(env, _changed(before, after) <= limit, "%s added to %d: %d layers" % (added, count, _changed(before, after)))
            asserts.true(env, _changed(after, before) <= limit, "%s removed from %d" % (added, count + 1))
        for name in ["package-1", "package-29", "package-40", "package-80"]:
            grown = _layers(sizes | {name: sizes[name] * 101 // 100})
            asserts.true(env, _changed(before, grown) <= 2, "%s of %d grown: %d layers" % (name, count, _changed(before, grown)))
    return unittest.end(env)

_stable_test = unittest.make(_stable_test_impl)

def _even_test_impl(ctx):
    env = unittest.begin(ctx)
    for form in ["package-%d", "types-%d-stubs", "nvidia-cu%d", "a%d"]:
        layers = layer_plan.plan([struct(name = form % number, size = 5000) for number in range(384)])
        shared = [len(layer.names) for layer in layers if layer.share != None]
        asserts.true(env, max(shared) <= 45, "%s: %s wheels share a layer, 20 would be even" % (form, shared))
    return unittest.end(env)

_even_test = unittest.make(_even_test_impl)

def layer_plan_tests(name):
    unittest.suite(
        name,
        _magnitude_test,
        _order_test,
        _limit_test,
        _big_and_unknown_test,
        _stable_test,
        _even_test,
    )
