"""Texts, JSON, rows as dicts and images: one value for each item, a list of them for a batch."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from chassis.runtime.codecs import npy
from chassis.runtime.codecs.input_error import InputError
from chassis.runtime.codecs.rows import from_json


class ValueCodec:
    """Items as values that are read one by one."""

    many = False

    def __init__(self, name: str, read: Callable[[bytes], object]) -> None:
        """Takes the name of the input, and what reads its content."""
        self._name = name
        self._read = read

    def read(self, item: Mapping[str, bytes]) -> object:
        return self._read(item[self._name])

    def key(self, value: object) -> Hashable:
        return None

    def join(self, values: Sequence[object]) -> object:
        return list(values)


def text(content: bytes) -> str:
    """The text that `content` is in UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the input is not UTF-8: byte {error.start}") from None


def json_object(content: bytes) -> dict[str, object]:
    """The JSON object that `content` is."""
    value = from_json(content)
    if not isinstance(value, dict):
        raise InputError(f"the input is a {type(value).__name__} of JSON, expected an object")
    return value


def image(content: bytes) -> Any:
    """The picture in `content`, of one of `_FORMATS`, or an array of UINT8 [height, width, channels]."""
    from PIL import Image, UnidentifiedImageError  # here, since the model alone brings it

    if content[:6] == npy.MAGIC:
        return _pixels(content)
    Image.init()
    formats = [one for one in _FORMATS if one in Image.OPEN]
    try:
        found = Image.open(io.BytesIO(content), formats=formats)
        size, most = found.width * found.height, Image.MAX_IMAGE_PIXELS
        if most is None or size <= most:
            found.load()
            return found
    except UnidentifiedImageError:
        raise InputError(f"the input is not a picture of {', '.join(formats)}") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise InputError(f"the input is not a whole picture: {error}") from None
    raise InputError(f"the picture has {size} pixels, more than {most} (PIL.Image.MAX_IMAGE_PIXELS)")


_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")
"""Of what Pillow has. The decoders of rare formats are little tested, and whoever calls chooses the format."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def _pixels(content: bytes) -> Any:
    from PIL import Image

    found = npy.read_header(content)
    shape: tuple[int, ...] = found.shape if len(found.shape) == 3 else (*found.shape, 1)
    mode = _MODES.get(shape[-1]) if len(shape) == 3 and all(shape) else None
    if found.datatype != "UINT8" or mode is None:
        raise InputError(
            f"an array of {found.datatype}{list(found.shape)} is not a picture, expected UINT8 [height, width, 3]"
        )
    return Image.frombytes(mode, (shape[1], shape[0]), content[found.offset :])
