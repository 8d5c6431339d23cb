"""WheelInfo: one wheel of a lock. DistributionInfo: wheels that belong together. WheelLayerInfo: one as a layer."""

WheelInfo = provider(
    doc = "One wheel of a lock, for the platform that the target is configured for.",
    fields = {
        "distribution": "string: the normalised name (PEP 503), such as `scikit-learn`.",
        "lock": "string: where it is pinned, such as `//requirements:linux_arm64.txt, line 14`.",
        "site_packages": "File: directory with the wheel unpacked for Python programs of the build; None if a hub of rules_python brings the files.",
        "size": "int: the wheel's size in bytes; 0 or missing where it is not known before the build, which makes it.",
        "unpacked": "bool: whether the wheel was made of files that a hub unpacked; missing where it is the index's own.",
        "version": "string: such as `1.26.4`.",
        "wheel": "File: the `.whl`, as the index has it.",
        "without": "list of string: distributions that its metadata requires and its hub leaves out; missing where there are none.",
    },
)

DistributionInfo = provider(
    doc = "A distribution with what it depends on.",
    fields = {"wheels": "depset of WheelInfo: the distribution's own wheel and every one that its metadata asks for."},
)

WheelLayerInfo = provider(
    doc = "A wheel made into a layer.",
    fields = {
        "layer": "LayerInfo.",
        "record": "File: JSON, what is known of the wheel (chassis/trust/package_record.py); left out by rules that know nothing of it.",
        "wheel": "WheelInfo.",
    },
)
