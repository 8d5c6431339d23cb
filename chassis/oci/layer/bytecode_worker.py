"""Compiles Python sources for chassis/oci/layer/bytecode.py: a program of its own that imports nothing of this package.

Reads requests from standard input and answers on standard output, numbers in little-endian: of a request the sizes of
path and source (4 bytes each), then both; of an answer the size and the `.pyc`, or `NOT_COMPILED` alone.
"""

import importlib.util
import marshal
import sys
import warnings

NOT_COMPILED = 0xFFFFFFFF
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def compiled(path: bytes, source: bytes) -> bytes | None:
    """A module's bytecode with the hash of its source, which is never checked (PEP 552); None if it is not a Python
    of this version.
    """
    try:
        code = compile(source, path.decode("utf-8", "surrogateescape"), "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return None
    header = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return header + marshal.dumps(code)


def main() -> None:
    """Answers until there are no more requests."""
    warnings.simplefilter("ignore")
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while sizes := requests.read(8):
        path = requests.read(int.from_bytes(sizes[:4], "little"))
        source = requests.read(int.from_bytes(sizes[4:], "little"))
        answer = compiled(path, source)
        answers.write((NOT_COMPILED if answer is None else len(answer)).to_bytes(4, "little"))
        answers.write(answer or b"")
        answers.flush()


if __name__ == "__main__":
    main()
