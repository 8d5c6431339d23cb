import pytest

from chassis.file_mode import mode_of, mode_of_file


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (b"#!/bin/sh\n", 0o755),
        (b"#!", 0o755),
        (b"\x7fELF\x02\x01", 0o755),
        (b"", 0o644),
        (b"#", 0o644),
        (b"# a comment\n", 0o644),
        (b"\x7fEL", 0o644),
        (b"\xef\xbb\xbf#!/bin/sh\n", 0o644),
    ],
)
def test_a_mode_depends_on_the_content_alone(tmp_path, content, mode):
    assert mode_of(content) == mode
    for given in (0o400, 0o555, 0o644, 0o755):
        path = tmp_path / f"{given:o}"
        path.write_bytes(content)
        path.chmod(given)
        assert mode_of_file(path) == mode
