"""ServerInfo: what serves the model inside an image."""

ServerInfo = provider(
    doc = "A model server as an image takes it.",
    fields = {
        "entrypoint": "list of string: the command that starts it.",
        "env": "dict of string to string: its environment.",
        "layers": "list of LayerInfo: its own code and the virtual environment's skeleton.",
        "model_wheels": "depset of WheelLayerInfo: what the model's process needs; a model's own wheel takes the place of one.",
        "own_place": "string: the directory in the image that its own process imports `wheels` from, such as `/opt/chassis/lib/python3.11/site-packages`.",
        "shared_place": "string: the directory in the image that the model's process imports from, such as `/opt/venv/lib/python3.11/site-packages`.",
        "wheels": "depset of WheelLayerInfo: what its own process needs, as layers for `own_place`.",
    },
)
