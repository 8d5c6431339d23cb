"""What a build writes does not fill the service's memory."""

import tracemalloc

import pytest

from chassis.oci.registry.transport import Cancellation
from chassis.service.bazel import Bazel, BuildError


@pytest.mark.parametrize("written", ["tr '\\0' x", "tr '\\0' x | fold -w 15000"], ids=["one line", "many lines"])
def test_endless_output_takes_no_memory(tmp_path, written):
    program = tmp_path / "bazel"
    program.write_text(f"#!/bin/sh\nhead -c 60000000 /dev/zero | {written}; echo; echo error: at last; exit 1\n")
    program.chmod(0o700)
    lengths = set()
    tracemalloc.start()
    try:
        with pytest.raises(BuildError, match="error: at last"):
            Bazel(program, tmp_path).build(["//x"], lambda text: lengths.add(len(text)), Cancellation())
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert max(lengths) <= 16 << 10
