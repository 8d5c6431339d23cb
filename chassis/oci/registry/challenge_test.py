"""WWW-Authenticate headers as registries send them."""

from __future__ import annotations

import pytest

from chassis.oci.registry.challenge import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Basic", [Challenge("basic", {})]),
        ('Basic realm="a b, c=d"', [Challenge("basic", {"realm": "a b, c=d"})]),
        (
            'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://auth.example/token",
                        "service": "r.example",
                        "scope": "repository:a/b:pull,push",
                    },
                )
            ],
        ),
        ("Bearer realm=x , error=y", [Challenge("bearer", {"realm": "x", "error": "y"})]),
        (
            'Basic realm="one", Bearer realm="two",service=s',
            [Challenge("basic", {"realm": "one"}), Challenge("bearer", {"realm": "two", "service": "s"})],
        ),
        (r'Basic realm="say \"hi\""', [Challenge("basic", {"realm": 'say "hi"'})]),
        ('Bearer realm="never closed', [Challenge("bearer", {})]),
        ("=,=", []),
    ],
)
def test_challenges(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected
