"""layer_plan: which wheels of an image get a layer each, which share one, and in what order they lie.

A registry, a cache and a machine that pulls move whole layers, so the cost of a changed package is the size of its
layer, and a layer for each wheel is best. Runtimes stop at 127 layers, though. If the wheels are too many, the
biggest keep a layer each and the others share a few, chosen by a hash of the distribution's name:

- A new version of a package re-makes its own layer, or the one that it shares with other small wheels.
- A package that is added, removed, or grows fourfold and so changes its rank, changes at most two layers more: its own, and
  the one that the wheel on the border of rank enters or leaves. Nothing depends on how many wheels there are.
- The plan sees wheels and nothing else, so images with the same wheels share every layer, whatever their base and model.

Sizes come from the wheel repositories, which have the files before analysis. They count in powers of four only, so
that most releases leave ranks as they are. A wheel of unknown size is one that the build makes itself; it changes
with every edit, so it gets a layer of its own if it can.

Order, lowest first: big wheels, small ones, shared layers, wheels of unknown size. Stores that know a layer by all that
lie below it (Docker's own) fetch everything above a change again, and so the big ones move least often.
"""

# The most layers that wheels take unless told otherwise: of the 100 that an image is kept to, 20 are for all else.
_MOST = 80

# One layer in five is shared, the others are wheels' own.
_OWN_FOR_EACH_SHARED = 4

def _magnitude(size):
    """The power of four that `size` reaches, 0 for 0 to 3."""
    for power in range(1, 40):
        if size < 1 << (2 * power):
            return power - 1
    return 39

def _rank(wheel):
    """Sorts wheels by how much a layer of their own is worth: unknown sizes, then big ones, then by name."""
    return (0 if not wheel.size else 1, -_magnitude(wheel.size), wheel.name)

def _share(name, count):
    """The shared layer of a distribution, 0 to `count` - 1, from its name alone."""

    # Multiplied by 2^32 over the golden ratio, the upper bits of `hash` spread evenly (Knuth, 6.4).
    spread = (hash(name) * 2654435769) % (1 << 32)
    return spread * count >> 32

def _plan(wheels, most = _MOST):
    """Plans the layers of an image's wheels.

    Args:
      wheels: list of struct(name: the distribution, size: bytes of the wheel, 0 if unknown).
      most: the most layers to plan, at least 1.

    Returns:
      list of struct(names: list of string, in order; share: number of the shared layer, None for a wheel's own), lowest
      layer first.
    """
    ranked = sorted(wheels, key = _rank)
    shared_layers = 0
    if len(ranked) > most:
        shared_layers = max(1, most // (_OWN_FOR_EACH_SHARED + 1))
    own = ranked[:most - shared_layers] if shared_layers else ranked
    shares = {}
    for wheel in ranked[len(own):]:
        shares.setdefault(_share(wheel.name, shared_layers), []).append(wheel.name)
    return (
        [struct(names = [wheel.name], share = None) for wheel in own if wheel.size] +
        [struct(names = sorted(shares[share]), share = share) for share in sorted(shares)] +
        [struct(names = [wheel.name], share = None) for wheel in own if not wheel.size]
    )

layer_plan = struct(
    MOST = _MOST,
    magnitude = _magnitude,
    plan = _plan,
)
