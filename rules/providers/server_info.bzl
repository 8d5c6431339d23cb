"""ServerInfo: what serves the model inside an image."""

ServerInfo = provider(
    doc = "A model server as an image takes it.",
    fields = {
        "entrypoint": "list of string: the command that starts it.",
        "env": "dict of string to string: its environment.",
        "layers": "list of LayerInfo: its own code and the virtual environment's skeleton.",
        "wheels": "depset of WheelLayerInfo: what it needs; a model's own wheel of the same distribution takes its place.",
    },
)
