"""The collection of sick images: each a healthy one with one thing wrong, and what the doctor must say of it."""

from __future__ import annotations

from tests.doctor import sick_elves, sick_files, sick_python, sick_secrets
from tests.doctor.sickness import Sickness

COLLECTION: tuple[Sickness, ...] = (
    *sick_elves.CASES,
    *sick_python.CASES,
    *sick_files.CASES,
    *sick_secrets.CASES,
)
