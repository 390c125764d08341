"""What manifests are signed with: a certificate made on this computer, or the user's own.

The self-made one proves that a file was not changed since, and that two files come from the same
computer. It proves nobody's name: no public authority has checked it, and it says so itself.
"""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lipwright.errors import LipwrightError, reading_errors, system_errors
from lipwright.files.kept_files import is_own
from lipwright.files.user_folders import private_folder
from lipwright.files.whole import temporary_beside

KEY_FILE = "signing-key.pem"
CERTIFICATE_FILE = "signing-certificate.pem"
ORGANISATION = "Lipwright, self-made"
COMMON_NAME = "Lipwright local, not trusted by a public authority"
_YEARS = 10
_RENEW_DAYS = 30


@dataclass(frozen=True)
class Credentials:
    """A private key and the chain of certificates that belongs to it.

    Attributes:
        algorithm: C2PA's name of the signature algorithm, such as ``es256``.
        chain: PEM, the signer's certificate first.
        key: PEM, PKCS 8, not encrypted.
        self_made: made by :func:`local_credentials`.
    """

    algorithm: str
    chain: bytes
    key: bytes
    self_made: bool


def load_credentials(certificate: str | Path, key: str | Path) -> Credentials:
    """The user's own certificate chain and key, both PEM files.

    Raises:
        LipwrightError: unreadable, encrypted, of an unsuitable kind, expired, or not a pair.
    """
    chain, secret = _read(Path(certificate)), _read(Path(key))
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise LipwrightError(
            f"{certificate} holds no PEM certificate; give the signer's certificate followed by "
            "those above it."
        ) from error
    try:
        private = load_pem_private_key(secret, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise LipwrightError(
            f"{key} holds no usable PEM private key; give one without a password."
        ) from error
    leaf = certificates[0]
    if _public(private) != _public(leaf):
        raise LipwrightError(f"The key {key} does not belong to the certificate {certificate}.")
    if not leaf.not_valid_before_utc <= _now() <= leaf.not_valid_after_utc:
        raise LipwrightError(f"The certificate {certificate} is not valid today; renew it.")
    return Credentials(_algorithm(private, key), chain, _pkcs8(private), False)


def local_credentials() -> Credentials:
    """The self-made certificate of this user, created at the first call.

    The key lies in the user's data folder, readable by the user alone.

    Raises:
        LipwrightError: the folder cannot be written.
    """
    folder = private_folder()
    key_path, chain_path = folder / KEY_FILE, folder / CERTIFICATE_FILE
    existing = _existing(chain_path, key_path)
    if existing is not None:
        return existing
    key, chain = _make()
    with system_errors(
        f"The signing key cannot be kept in {folder}",
        "free space or set LIPWRIGHT_HOME to another folder",
    ):
        # The key goes first: a certificate without its key would be of no use.
        _write_private(key_path, key)
        _write_private(chain_path, chain)
    return Credentials("es256", chain, key, True)


def _existing(chain_path: Path, key_path: Path) -> Credentials | None:
    try:
        if not (is_own(chain_path.stat()) and is_own(key_path.stat())):
            return None  # put there by somebody else
        chain, key = chain_path.read_bytes(), key_path.read_bytes()
        leaf = x509.load_pem_x509_certificates(chain)[0]
        private = load_pem_private_key(key, password=None)
        pair = _public(private) == _public(leaf)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    soon = _now() + datetime.timedelta(days=_RENEW_DAYS)
    if leaf.not_valid_after_utc < soon or not pair:
        return None
    return Credentials("es256", chain, key, True)


def _make() -> tuple[bytes, bytes]:
    """(key, chain): a fresh authority signs one certificate and is forgotten.

    C2PA wants a certificate that was issued by another one, so there have to be two.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    above = _name(f"{COMMON_NAME} (root)")
    start = _now() - datetime.timedelta(days=1)
    end = start + datetime.timedelta(days=365 * _YEARS)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    authority = (
        builder(above, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    leaf = (
        builder(_name(COMMON_NAME), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = leaf.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM)
    return _pkcs8(key), chain


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _algorithm(private: PrivateKeyTypes, path: str | Path) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey):
        name = {256: "es256", 384: "es384", 521: "es512"}.get(private.curve.key_size)
    elif isinstance(private, rsa.RSAPrivateKey):
        name = "ps256"
    else:
        name = "ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else None
    if name is None:
        raise LipwrightError(
            f"The key {path} is of a kind that C2PA does not allow; use P-256, P-384, P-521, RSA "
            "or Ed25519."
        )
    return name


def _pkcs8(private: PrivateKeyTypes) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public(holder: PrivateKeyTypes | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any moment."""
    with temporary_beside(path) as temporary:
        temporary.write_bytes(content)
        os.replace(temporary, path)


def _read(path: Path) -> bytes:
    with reading_errors(path):
        return path.read_bytes()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
