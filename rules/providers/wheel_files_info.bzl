"""WheelFilesInfo: the wheels of another rule set's hub, as layers."""

WheelFilesInfo = provider(
    doc = "The `.whl` files behind the `:whl` targets of a hub of rules_python.",
    fields = {
        "wheels": "depset of WheelLayerInfo.",
    },
)
