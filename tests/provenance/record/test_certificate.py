"""What manifests are signed with."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from lipwright.errors import LipwrightError
from lipwright.files.user_folders import home
from lipwright.provenance.record.certificate import (
    CERTIFICATE_FILE,
    COMMON_NAME,
    KEY_FILE,
    load_credentials,
    local_credentials,
)


def test_made_once_and_kept() -> None:
    first = local_credentials()
    assert first.self_made
    assert first.algorithm == "es256"
    assert local_credentials() == first


@pytest.mark.skipif(sys.platform == "win32", reason="no modes on Windows")
def test_only_the_user_can_read_the_key() -> None:
    local_credentials()
    assert stat.S_IMODE((home() / KEY_FILE).stat().st_mode) == 0o600
    assert sorted(p.name for p in home().iterdir()) == sorted([KEY_FILE, CERTIFICATE_FILE])


def test_it_says_that_nobody_vouches_for_it() -> None:
    leaf, root = x509.load_pem_x509_certificates(local_credentials().chain)
    assert "not trusted by a public authority" in COMMON_NAME
    assert COMMON_NAME in leaf.subject.rfc4514_string().replace("\\", "")
    assert leaf.issuer == root.subject
    leaf.verify_directly_issued_by(root)


def test_damaged_files_are_replaced() -> None:
    first = local_credentials()
    (home() / CERTIFICATE_FILE).write_text("damaged")
    second = local_credentials()
    assert second.chain != first.chain
    (home() / KEY_FILE).write_bytes(first.key)  # no longer a pair
    assert local_credentials().chain not in (first.chain, second.chain)


def write_pair(folder: Path) -> tuple[Path, Path]:
    made = local_credentials()
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.chain)
    key.write_bytes(made.key)
    return chain, key


def test_a_pair_of_ones_own(tmp_path: Path) -> None:
    chain, key = write_pair(tmp_path)
    loaded = load_credentials(chain, key)
    assert not loaded.self_made
    assert loaded.algorithm == "es256"


def test_unusable_pairs(tmp_path: Path) -> None:
    chain, key = write_pair(tmp_path)
    other = tmp_path / "other.pem"

    def pem(
        private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b""
    ) -> bytes:
        scheme = BestAvailableEncryption(password) if password else NoEncryption()
        return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, scheme)

    other.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(LipwrightError, match="does not belong"):
        load_credentials(chain, other)
    other.write_bytes(pem(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    with pytest.raises(LipwrightError, match="without a password"):
        load_credentials(chain, other)
    with pytest.raises(LipwrightError, match="no PEM certificate"):
        load_credentials(key, key)
    with pytest.raises(LipwrightError, match="no usable PEM private key"):
        load_credentials(chain, chain)
    with pytest.raises(LipwrightError, match="cannot be read"):
        load_credentials(tmp_path / "none.pem", key)
