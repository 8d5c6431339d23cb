"""PushInfo: an image on its way to a repository."""

PushInfo = provider(
    doc = "What a push is of, for pushing several in one process.",
    fields = {
        "files": "depset of File: what the push reads: the image's documents, its layers' descriptors, files of tags. No layer of this build is among them.",
        "keyless": "Whether an identity signs, by Sigstore's services.",
        "layers": "depset of File: the layers of this build, for who wants them brought to this machine.",
        "plan": "File: JSON, read by chassis/oci/push_plan.py.",
    },
)
