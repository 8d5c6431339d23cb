"""The page about the SDK: what `import chassis` gives, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re

import chassis
from chassis.reference.markdown import code, page, prose, section, table

_WIDTH = 100
_PARTS = re.compile(r"^(Args|Attributes|Raises|Returns|Example):$", re.M)


def sdk_page() -> str:
    """Returns the page."""
    return page(
        "The SDK",
        prose(chassis.__doc__ or ""),
        [_described(name, getattr(chassis, name)) for name in sorted(chassis.__all__)],
    )


def _described(name: str, value: object) -> str:
    if not inspect.isclass(value):
        return section(code(name), _signature(name, value), _doc(value))
    members = [
        section(code(f"{name}.{key}"), _signature(key, member), _doc(member), level=3)
        for key, member in vars(value).items()
        if not key.startswith("_") and callable(member) and not inspect.isclass(member)
    ]
    constructor = vars(value).get("__init__")
    made = (_signature(name, constructor), _doc(constructor)) if constructor else ()
    return section(code(name), _doc(value), *made, *members)


def _signature(name: str, function: object) -> str:
    """A call of the function as its definition has it, without `self`; annotations are texts in these modules."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    parts: list[str] = []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        if one.name != "self":
            default = "" if one.default is one.empty else f" = {one.default!r}"
            stars = "*" * ((one.kind is one.VAR_POSITIONAL) + 2 * (one.kind is one.VAR_KEYWORD))
            parts.append(f"{stars}{one.name}: {one.annotation}{default}".replace("'", '"'))
    returned = "" if signature.return_annotation in (signature.empty, "None") else f" -> {signature.return_annotation}"
    call = f"{name}({', '.join(parts)}){returned}"
    if len(call) > _WIDTH:
        call = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returned}"
    return f"```python\n{call}\n```"


def _doc(value: object) -> str:
    """The docstring, its sections as tables."""
    text = prose(getattr(value, "__doc__", "") or "")
    pieces = _PARTS.split(text)
    paragraphs = [pieces[0].strip()]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        paragraphs.append(_part(title, prose("\n" + body)))
    return "\n\n".join(filter(None, paragraphs))


def _part(title: str, body: str) -> str:
    if title == "Returns":
        return f"Returns: {' '.join(body.split())}"
    if title == "Example":
        return f"```python\n{body}\n```"
    rows = [(name, " ".join(doc.split())) for name, doc in re.findall(r"^([\w, ]+): ((?:.|\n +)*)", body, re.M)]
    heads = {"Args": "argument", "Attributes": "attribute", "Raises": "raises"}
    return table(
        (heads[title], "what it is" if title != "Raises" else "when"), [(code(name), doc) for name, doc in rows]
    )
