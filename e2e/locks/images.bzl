"""lock_images: a model with what a hub's lock gives it, tested on both CPUs."""

load("@chassis//rules:defs.bzl", "chassis_image", "chassis_model", "chassis_test")

def lock_images(deps, platforms):
    """Makes `:image` and a test of it for each platform, with the cases of `PLATFORM.json`.

    Args:
      deps: of the model.
      platforms: names of Chassis' platforms.
    """
    chassis_model(
        name = "versions",
        srcs = ["//:versions.py"],
        entry_point = "versions:process",
        deps = deps,
    )
    chassis_image(
        name = "image",
        model = ":versions",
    )
    for platform in platforms:
        chassis_test(
            name = "image_test_" + platform,
            cases = [platform + ".json"],
            image = ":image",
            platform = "@chassis//platforms:" + platform,
        )
