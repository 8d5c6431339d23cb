"""PulledInfo: where an image came from."""

PulledInfo = provider(
    doc = "An image that `oci_pull` brought.",
    fields = {"source": "string: registry and repository that have its layers, such as `registry.example/python`."},
)
