"""Pictures: which are taken, and that whatever is not one is refused."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib

import pytest
from PIL import Image, features

from chassis.declaration.model_io import ModelInput, ModelOutput
from chassis.runtime.codecs.input_error import InputError
from chassis.runtime.codecs.typed_function import TypedFunction
from chassis.runtime.codecs.values import image
from chassis.runtime.core.answer import ErrorKind
from chassis.runtime.core.contract import Contract
from chassis.runtime.core.predict import PredictFunction

COMMON = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", *(["AVIF"] if features.check("avif") else [])]


def picture(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((24, 16), 50).convert("RGB").save(buffer, name)
    return buffer.getvalue()


@pytest.mark.parametrize("name", COMMON)
def test_a_picture_of_a_common_format_is_read(name: str) -> None:
    found = image(picture(name))
    assert (found.format, found.size) == (name, (24, 16))


@pytest.mark.parametrize("name", ["DDS", "ICO", "PCX", "PPM", "SGI", "SPIDER", "TGA"])
def test_a_picture_of_another_format_is_refused(name: str) -> None:
    buffer = io.BytesIO()
    mode = "F" if name == "SPIDER" else "RGB"
    Image.new("RGB", (24, 16)).convert(mode).save(buffer, name)
    with pytest.raises(InputError, match="is not a picture of PNG, JPEG, GIF, BMP, TIFF, WEBP"):
        image(buffer.getvalue())


def test_what_a_decoder_of_a_rare_format_cannot_read_is_refused() -> None:
    """Pillow raises NotImplementedError and BLPFormatError for these."""
    dds = (
        b"DDS "
        + struct.pack("<7I", 124, 0, 4, 4, 0, 0, 0)
        + bytes(44)
        + struct.pack("<2I", 32, 4)
        + b"XXXX"
        + bytes(40)
    )
    blp = b"BLP2" + struct.pack("<I4b2I", 9, 1, 0, 0, 0, 4, 4) + bytes(200)
    for content in (dds, blp):
        with pytest.raises(InputError):
            image(content)


@pytest.mark.parametrize("name", COMMON)
def test_whatever_bytes_are_said_to_be_a_picture_are_one_or_refused(name: str) -> None:
    """Cut, and with bytes changed by chance."""
    chance = random.Random(name)
    whole = picture(name)
    for _ in range(200):
        changed = bytearray(whole[: chance.randrange(4, len(whole) + 1)])
        for _ in range(chance.randint(0, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                image(bytes(changed))
            except InputError:
                continue


def test_a_picture_of_more_pixels_than_pillow_takes_is_refused() -> None:
    """It warns of one, and raises for twice as many."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for height in (10_000, 100_000):
        header = struct.pack(">IIBBBBB", 10_000, height, 1, 0, 0, 0, 0)
        content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1251 * height)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(InputError, match="pixels"):
                image(content + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("media_type", "message"),
    [
        ("image/jpeg", "output 'y' cannot be image/jpeg: cannot write mode RGBA as JPEG"),
        ("image/svg+xml", "output 'y' is declared as image/svg+xml, which Pillow does not write: return its bytes"),
    ],
)
def test_a_picture_that_cannot_be_written_costs_no_other_item(media_type: str, message: str) -> None:
    def drawn(texts: list[str]) -> list[object]:
        return [Image.new("RGBA", (1, 1)) if text == "b" else text for text in texts]

    contract = Contract((ModelInput("x"),), (ModelOutput("y", media_type),), signature="text")
    answers = TypedFunction(PredictFunction(drawn, "text", 8, contract))([{"x": text} for text in (b"a", b"b")])
    assert answers[0].output == {"y": b"a"}
    assert answers[1].kind is ErrorKind.CONTRACT
    assert answers[1].error == f"the model's result cannot be sent: {message}"
