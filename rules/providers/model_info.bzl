"""ModelInfo: a packaged model. PickleInfo: its pickled predict function."""

PickleInfo = provider(
    doc = "A predict function, pickled.",
    fields = {
        "metadata": "File: JSON, what the model says of itself (chassis/declaration/metadata_file.py).",
        "pickle": "File: model.pkl.",
        "python_version": "string: the minor version of the interpreter that pickled it, such as `3.11`; None if it says none.",
        "settings": "File: model.json, the run-time settings of the server.",
        "sources": "list of File: the entry module and what is beside it, or the ready pickle.",
        "status": "File: status.pb, the serialised OMI StatusResponse.",
    },
)

ModelInfo = provider(
    doc = "A model with all that an image of it needs but base and server.",
    fields = {
        "imports": "list of string: directories below /app/code to import from.",
        "layers": "list of LayerInfo: code, data and model, in this order; what is empty is left out.",
        "metadata": "File: JSON, what the model says of itself (chassis/declaration/metadata_file.py); left out if it is not known.",
        "name": "string: the target's name, which is the model's name in URLs.",
        "python_version": "string: minor version that the pickle needs, such as `3.11`; None if unknown.",
        "settings": "File: model.json, the run-time settings of the server.",
        "sources": "depset of File: first-party sources and data; left out if they are not known.",
        "status": "File: status.pb, the serialised OMI StatusResponse.",
        "version": "string: the model's version.",
        "wheels": "depset of WheelLayerInfo.",
    },
)
