"""Whoever publishes in these tests, and the registry's view of it."""

from __future__ import annotations

USER, PASSWORD = "ann", "se:cret"
# bcrypt of PASSWORD, cost 4
HTPASSWD = f"{USER}:$2b$04$svbfdnkpjWxSU1Ff8/WPt.kHhMsADaolARnZT.P638OpI8XXSfBqa\n"
