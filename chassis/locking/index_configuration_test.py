"""Tests of index_configuration.py."""

from __future__ import annotations

from pathlib import Path

from chassis.locking.index_configuration import uv_environment


def _home(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "pip").mkdir(exist_ok=True)
    (tmp_path / "pip/pip.conf").write_text(text)
    return {"XDG_CONFIG_DIRS": "", "PIP_CONFIG_FILE": str(tmp_path / "pip/pip.conf")}


def test_pips_file_tells_uv_its_index(tmp_path: Path) -> None:
    environment = uv_environment(
        _home(
            tmp_path,
            "[global]\nindex-url = https://i.test/simple\n"
            "extra-index-url =\n  https://a.test/x\n  https://b.test/y\ncert = /c.pem\n",
        )
    )
    assert environment["UV_DEFAULT_INDEX"] == "https://i.test/simple"
    assert environment["UV_INDEX"] == "https://a.test/x https://b.test/y"
    assert "UV_INDEX_STRATEGY" not in environment
    assert environment["SSL_CERT_FILE"] == "/c.pem"


def test_that_all_indexes_count_alike_is_asked_for(tmp_path: Path) -> None:
    home = _home(tmp_path, "[global]\nextra-index-url = https://a.test/x\n")
    asked = uv_environment({**home, "UV_INDEX_STRATEGY": "unsafe-best-match"})
    assert asked["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_pips_variables_win_over_its_files_and_uvs_own_over_both(tmp_path: Path) -> None:
    home = _home(tmp_path, "[global]\nindex-url = https://file.test/\n")
    given = uv_environment({**home, "PIP_INDEX_URL": "https://variable.test/"})
    assert given["UV_DEFAULT_INDEX"] == "https://variable.test/"
    own = uv_environment({**home, "UV_INDEX_URL": "https://uv.test/"})
    assert "UV_DEFAULT_INDEX" not in own


def test_indexes_on_this_machines_disk_do_not_count(tmp_path: Path) -> None:
    home = _home(tmp_path, "[global]\nextra-index-url = file:///opt/simple /opt/other https://a.test/\n")
    assert uv_environment(home)["UV_INDEX"] == "https://a.test/"
    home = _home(tmp_path, "[global]\nindex-url = file:///opt/simple\nfind-links = /opt/wheels\n")
    environment = uv_environment(home)
    assert not {"UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"} & set(environment)


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert "UV_INDEX" not in uv_environment(_home(tmp_path, "no section = here\n"))


def test_proxies_certificates_and_trusted_hosts_count(tmp_path: Path) -> None:
    text = "[global]\nproxy = me:word@proxy.test:3128\nclient_cert = /me.pem\ntrusted-host =\n  a.test\n  b.test:8443\n"
    home = _home(tmp_path, text)
    environment = uv_environment(home)
    assert environment["ALL_PROXY"] == "http://me:word@proxy.test:3128"
    assert environment["SSL_CLIENT_CERT"] == "/me.pem"
    assert environment["UV_INSECURE_HOST"] == "a.test b.test:8443"
    own = uv_environment({**home, "https_proxy": "http://other.test:1"})
    assert "ALL_PROXY" not in own
    assert "require" not in " ".join(uv_environment(_home(tmp_path, "[global]\nrequire-virtualenv = 1\n"))).lower()
