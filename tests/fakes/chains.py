"""Certificate chains as mail servers with DANE show them: made at run time, of any age, for any name.

root = make("Root", is_authority=True)
server = make("mx.example", issuer=root, names=("mx.example",))
server.der, server.tlsa(3, 1, 1)
context = server_context(folder, server, root)     # an SSL context that shows server, then root
"""

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from relay.codec.tlsa import Tlsa

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Made:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def tlsa(self, usage: int, selector: int, matching: int) -> Tlsa:
        """The record that speaks of it, made by means other than the relay's."""
        chosen = self.der
        if selector == 1:
            chosen = self.key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        kinds = {1: hashes.SHA256(), 2: hashes.SHA512()}
        if matching in kinds:
            digest = hashes.Hash(kinds[matching])
            digest.update(chosen)
            chosen = digest.finalize()
        return Tlsa(usage, selector, matching, chosen)


def make(
    subject: str,
    issuer: Made | None = None,
    names: tuple[str, ...] = (),
    is_authority: bool = False,
    age_days: int = 1,
    valid_days: int = 7,
) -> Made:
    """A certificate; without an issuer it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age_days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=valid_days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        found = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(found, critical=False)
    return Made(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def server_context(folder: Path, *chain: Made) -> ssl.SSLContext:
    """What a server needs to show this chain, its own certificate first."""
    stem = f"{chain[0].certificate.serial_number:x}"
    chain_file, key_file = folder / f"{stem}.pem", folder / f"{stem}.key"
    chain_file.write_bytes(b"".join(one.certificate.public_bytes(_PEM) for one in chain))
    key_file.write_bytes(
        chain[0].key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain_file, key_file)
    return context
