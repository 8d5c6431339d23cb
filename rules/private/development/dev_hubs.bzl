"""dev_hubs: the second step of dev_repositories.bzl in a WORKSPACE."""

load("@checked_wheels_locks//:wheels.bzl", checked_wheels = "wheel_hub")
load("@classification_locks//:wheels.bzl", classification = "wheel_hub")
load("@compressors_locks//:wheels.bzl", compressors = "wheel_hub")
load("@emulated_build_locks//:wheels.bzl", emulated_build = "wheel_hub")
load("@frameworks_locks//:wheels.bzl", frameworks = "wheel_hub")
load("@fuzzing_locks//:wheels.bzl", fuzzing = "wheel_hub")
load("@old_wheels_locks//:wheels.bzl", old_wheels = "wheel_hub")
load("@perf_analyzer_locks//:wheels.bzl", perf_analyzer = "wheel_hub")
load("@pictures_locks//:wheels.bzl", pictures = "wheel_hub")
load("@pypi_locks//:wheels.bzl", pypi = "wheel_hub")
load("@remote_engine_locks//:wheels.bzl", remote_engine = "wheel_hub")
load("@sdists_locks//:wheels.bzl", sdists = "wheel_hub")

def dev_hubs():
    """Makes the hubs whose locks dev_repositories() reads."""
    checked_wheels()
    classification()
    compressors()
    emulated_build()
    frameworks()
    fuzzing()
    old_wheels()
    perf_analyzer()
    pictures()
    pypi()
    remote_engine()
    sdists()
