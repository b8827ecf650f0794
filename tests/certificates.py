"""Certificates of an authority of our own, for who speaks TLS."""

import datetime as dt
import ipaddress
import ssl

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates:
    """Written into a folder, as ``NAME.crt`` and ``NAME.key``.

    ``authority`` has signed ``server``, which is this machine, and ``client``; ``stranger`` has signed ``intruder``.
    """

    def __init__(self, folder):
        self.folder = folder
        authority, stranger = self._issue("authority"), self._issue("stranger")
        self._issue("server", authority)
        self._issue("client", authority)
        self._issue("intruder", stranger)

    def __truediv__(self, name):
        return self.folder / name

    def context(self, client=None):
        """Trust the authority, and be *client*."""
        context = ssl.create_default_context(cafile=self / "authority.crt")
        if client:
            context.load_cert_chain(self / f"{client}.crt", self / f"{client}.key")
        return context

    def channel(self, port, client=None):
        """Open a channel over TLS with the certificate of *client*."""
        read = {end: (self / f"{client}.{end}").read_bytes() for end in ("key", "crt") if client}
        credentials = grpc.ssl_channel_credentials(
            (self / "authority.crt").read_bytes(), read.get("key"), read.get("crt")
        )
        return grpc.secure_channel(f"localhost:{port}", credentials)

    def _issue(self, name, issuer=None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
        (self / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (self / f"{name}.key").write_bytes(key.private_bytes(*pem))
        return certificate, key
