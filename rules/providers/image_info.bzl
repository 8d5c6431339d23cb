"""ImageInfo: an OCI image. IndexInfo: several as one. BaseInfo: what an image can be built on."""

ImageInfo = provider(
    doc = "An OCI image for one platform.",
    fields = {
        "accelerator": "string: `none` or `cuda`.",
        "all_layers": "list of LayerInfo: `layers`, after those of the images of this build below it.",
        "architecture": "string: as OCI names it, `amd64` or `arm64`.",
        "base_files": "list of File: the OCI layout of the base, whose blobs its own layout links to, and what those are links to; none if the base is made of layers of this build.",
        "base_layout": "File: the layout that the lowest image of this build stands on, which is in `held`; None if there is none.",
        "cpu": "string: the least CPU by its name in `//platforms/cpu`, \"\" for the architecture's baseline.",
        "documents": "File: a directory with the layout's index, manifest and configuration, made from descriptors alone; its layers are not there.",
        "files": "depset of File: what a reader of `layout` needs and nothing else: the directory itself, and the layers and the base that its blobs are links to.",
        "held": "depset of File: the blobs of a base that is a layout of its own, and what they are links to: no action of this build can make them anew.",
        "layers": "list of LayerInfo: this build's own layers, lowest first.",
        "layout": "File: the OCI layout directory.",
        "model": "ModelInfo of the model that it serves.",
        "software": "SoftwareInfo: what the image is made of, all layers of this build together.",
        "sources": "list of string: repositories that have layers of the base, such as `registry.example/python`, for a push to mount them from.",
    },
)

IndexInfo = provider(
    doc = "An OCI index over images.",
    fields = {
        "documents": "File: a directory with the layout's indexes, manifests and configurations, without layers.",
        "files": "depset of File: what a reader of `layout` needs and nothing else: the directory itself, and what its blobs are links to.",
        "images": "list of ImageInfo, in the order of the platforms.",
        "layout": "File: the OCI layout directory, whose only entry is the index.",
    },
)

BaseInfo = provider(
    doc = "A base image made of layers of this build.",
    fields = {
        "architecture": "string: `amd64` or `arm64`.",
        "env": "dict of string to string: environment that the base sets.",
        "layers": "list of LayerInfo, lowest first.",
        "python_version": "string: minor version of its /usr/bin/python3, such as `3.11`.",
        "record": "File: JSON, what is known of its packages (chassis/trust/package_record.py); left out by rules that know nothing of it.",
    },
)
