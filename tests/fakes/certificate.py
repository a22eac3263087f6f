"""Certificates that sign themselves, for servers in tests; ``relay.daemon.first`` makes those of a relay."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_pair(folder: Path, *names: str, days: int = 1) -> tuple[Path, Path]:
    """The files of a certificate for these names or addresses, and of its key. It is its own authority, and
    good for so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
        for name in names
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, secret = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    chain_file, key_file = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
    chain_file.write_bytes(made.public_bytes(pem))
    key_file.write_bytes(key.private_bytes(pem, secret, serialization.NoEncryption()))
    return chain_file, key_file
