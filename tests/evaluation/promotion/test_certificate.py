"""What was signed can be checked by anybody, and nothing in it can be changed."""

import base64
import stat
import subprocess

import orjson
import pytest

from evaluation.promotion.certificate import KEY_FILE, BadCertificate, Certificate, public_key_of, sign, site_key, verify

PAYLOAD = {"model": {"name": "honest", "hash": "ab" * 32}, "rules": [1, 2.5, None], "ß": "ü"}


def test_a_certificate_survives_being_written_down_and_says_whose_it_is(tmp_path):
    key = site_key(tmp_path)
    written = sign(PAYLOAD, key).model_dump_json(indent=2)
    read = Certificate.model_validate_json(written)
    verify(read, public_key=public_key_of(key))
    assert read.payload == PAYLOAD
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert public_key_of(site_key(tmp_path)) == public_key_of(key)


@pytest.mark.parametrize("change", [
    {"payload": PAYLOAD | {"model": "other"}},
    {"payload": PAYLOAD | {"rules": [1, 2.5, float("nan")]}},
    {"payload": PAYLOAD | {"rules": [1, 2.5, 1 << 70]}},
    {"payload": PAYLOAD | {"ß": "\ud800"}},
    {"signature": "AAAA"},
    {"signature": "no base64 !"},
])  # fmt: skip
def test_what_was_changed_is_refused(tmp_path, change):
    good = sign(PAYLOAD, site_key(tmp_path))
    with pytest.raises(BadCertificate, match="changed after it was signed"):
        verify(good.model_copy(update=change))


def test_another_sites_certificate_is_refused(tmp_path):
    mine, theirs = site_key(tmp_path / "mine"), site_key(tmp_path / "theirs")
    with pytest.raises(BadCertificate, match="another site's key"):
        verify(sign(PAYLOAD, theirs), public_key=public_key_of(mine))


def test_openssl_agrees_with_the_signature(tmp_path):
    """As somebody without this project would check it: RFC 8410's DER header before the raw key, the payload's exact bytes."""
    signed = sign(PAYLOAD, site_key(tmp_path))
    der = bytes.fromhex("302a300506032b6570032100") + base64.b64decode(signed.public_key)
    (tmp_path / "key.der").write_bytes(der)
    (tmp_path / "payload").write_bytes(orjson.dumps(signed.payload, option=orjson.OPT_SORT_KEYS))
    (tmp_path / "signature").write_bytes(base64.b64decode(signed.signature))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin", "-in", "payload"]
    told = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified Successfully" in told.stdout, told.stderr
