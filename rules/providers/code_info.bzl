"""CodeInfo: first-party Python code with the wheels it needs."""

CodeInfo = provider(
    doc = "What an aspect finds along `deps`: the first-party files and the wheels behind a Python target.",
    fields = {
        "distribution": "string: the distribution that the target itself is, of a hub of rules_python; else None.",
        "files": "depset of File: sources and run-time data of the repository's own Python libraries.",
        "imports": "depset of string: directories to import from, relative to the runfiles root (PyInfo.imports).",
        "refused": "depset of string: targets that stand for wheels which no layer can be made of.",
        "wheels": "depset of WheelLayerInfo.",
    },
)
