"""The keys that Debian's archive is trusted by: those in `archive_keys.asc`, by fingerprint, and the machine's own.

The public keys are here so that a machine that is not Debian, such as Ubuntu, checks signatures as well. Each release
has an automatic key and one of its own; testing is signed with the automatic keys of the releases before it.
"""

from __future__ import annotations

from pathlib import Path

ARCHIVE_KEYS = Path(__file__).with_name("archive_keys.asc")
FINGERPRINTS = {
    "1F89983E0081FDE018F3CC9673A4F27B8DD47936": "Debian Archive Automatic Signing Key (11/bullseye)",
    "A4285295FC7B1A81600062A9605C66F00D6C9793": "Debian Stable Release Key (11/bullseye)",
    "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8": "Debian Archive Automatic Signing Key (12/bookworm)",
    "4D64FEC119C2029067D6E791F8D2585B8783D481": "Debian Stable Release Key (12/bookworm)",
    "04B54C3CDCA79751B16BC6B5225629DF75B188BD": "Debian Archive Automatic Signing Key (13/trixie)",
    "41587F7DB8C774BCCF131416762F67A0B2C39DE4": "Debian Stable Release Key (13/trixie)",
}
# What the machine's administrator trusts beside them: a later Debian has keys that are not here yet.
MACHINE_KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/etc/apt/trusted.gpg.d/debian-archive-keyring.gpg"),
)


def trusted_keyrings() -> list[Path]:
    """The files of keys to check an archive with, the project's own first."""
    return [ARCHIVE_KEYS, *[path for path in MACHINE_KEYRINGS if path.is_file()][:1]]
