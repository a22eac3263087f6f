"""A certificate authority of one test, which also makes what a proper one would not.

authority = Authority(folder)
authority.file                                          # PEM, to trust
chain, key = authority.issue("mx.example")              # files
chain, key = authority.issue("mx.example", age_days=9)  # expired the day before yesterday or longer ago
"""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM
_VALID_DAYS = 7


class Authority:
    """See above."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = (
            self._builder(self._name, self._key.public_key(), 0)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True
            )
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self._certificate.public_bytes(_PEM))
        self._issued = 0

    def issue(self, *names: str, age_days: int = 0) -> tuple[Path, Path]:
        """The files of a chain for these names and addresses, valid for a week from so many days ago, and of
        its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        alternatives = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
        issuer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        made = (
            self._builder(subject, key.public_key(), age_days)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        self._issued += 1
        chain_file = self._folder / f"{self.file.stem}-{self._issued}.pem"
        key_file = chain_file.with_suffix(".key")
        chain_file.write_bytes(made.public_bytes(_PEM) + self._certificate.public_bytes(_PEM))
        key_file.write_bytes(
            key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return chain_file, key_file

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, age_days: int
    ) -> x509.CertificateBuilder:
        began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age_days, hours=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(began + datetime.timedelta(days=_VALID_DAYS))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
