"""Lets into the image what must never be there, so that each row of the matrix shows that it would notice."""

from __future__ import annotations

from pathlib import Path

# A word, and the shell that says what comes after it; a sandbox's number is left out.
_LINES = {
    "directory": "pwd -P | sed 's/[0-9]//g'",
    "host": "uname -n",
    "locale": "echo $${LANG:-none}",
    "processors": "nproc",
    "repository": "echo $(execpaths @pypi//numpy)",
    "seed": "echo $${PYTHONHASHSEED:-none}",
    "umask": "umask",
    "user": "id -u",
    "zone": "echo $${TZ:-none}",
}

_RULE = """
genrule(
    name = "leak",
    srcs = ["@pypi//numpy"],
    outs = ["leak.txt"],
    cmd = "{{ {command} }} > $@",
)
"""

_OPTIONS = "".join(f"build --action_env={name}\n" for name in ("LANG", "PYTHONHASHSEED", "TZ"))

# Whether a persistent worker made the layer, and where: the version of what the layer holds says so in the history.
_ORIGIN = "Origin(_KIND.value, _NAME.value, _VERSION.value)"
_TELLING = """Origin(
            _KIND.value,
            _NAME.value,
            f"{'worker' if '--persistent_worker' in __import__('sys').argv else 'process'} "
            + __import__("re").sub("[0-9]", "", __import__("os").getcwd()),
        )"""


def add_leaks(checkout: Path) -> None:
    """Edits a checkout: the model's data and the layers' history then tell of the machine that built them."""
    command = " ".join(f'echo "{word} $$({shell})";' for word, shell in _LINES.items())
    build = checkout / "model/BUILD.bazel"
    text = build.read_text()
    with_data = text.replace('data = ["weights.npz"]', 'data = ["weights.npz", "leak.txt"]')
    tool = checkout / "chassis/tools/files_layer.py"
    source = tool.read_text()
    if with_data == text or _ORIGIN not in source:
        raise ValueError(f"{build} or {tool} has changed: leaks.py does not find where to let something in")
    build.write_text(with_data + _RULE.format(command=command.replace('"', '\\"')))
    tool.write_text(source.replace(_ORIGIN, _TELLING))
    with (checkout / ".bazelrc").open("a") as settings:
        settings.write(_OPTIONS)
