"""LayerInfo: one layer of an image."""

LayerInfo = provider(
    doc = "One layer of an image, made by one action. Readers of the descriptor never need the blob.",
    fields = {
        "blob": "File: the layer as it is pushed, such as an eStargz tar.gz.",
        "descriptor": "File: JSON with mediaType, digest, size, annotations (OCI image-spec, descriptor), diff_id and origin.",
        "facts": "File: JSON, what the doctor has to know of the layer (chassis/doctor/facts.py); left out by rules that know nothing of it.",
        "files": "File: JSON list of what the layer holds: path, type, mode, size, digest, link.",
        "origin": "string: what the layer is made of, for people, such as `wheel numpy 2.3.1` or `code //model:digits`.",
    },
)
