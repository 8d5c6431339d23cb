"""Debian packages through apt: found, checked, downloaded, locked; never installed."""
