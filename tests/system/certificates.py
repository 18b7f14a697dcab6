"""Certificates for one test run, made by the openssl command: an authority, a server, clients, stores. And how a client begins."""

import pathlib
import ssl
import subprocess


def openssl(*arguments, stdin=b"", check=True, wait=20):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=check, timeout=wait)


class Certificates:
    """Paths in a folder: ca.pem, server.pem and server.key, client.pem and client.key, stranger.pem and .key."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._authority("ca")
        self._authority("other")
        self.sign("server", "ca", "DNS:localhost,IP:127.0.0.1")
        self.sign("client", "ca", "DNS:client")
        self.sign("stranger", "other", "DNS:stranger")

    def path(self, name):
        return str(self.folder / name)

    __getitem__ = path

    def _authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                f"/CN={name}", "-keyout", self[f"{name}.key"], "-out", self[f"{name}.pem"])

    def sign(self, name, by, names, days=30, is_authority=False):
        more = ("-addext", "basicConstraints=critical,CA:TRUE") if is_authority else ()
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}", *more,
                "-keyout", self[f"{name}.key"], "-out", self[f"{name}.csr"])
        openssl("x509", "-req", "-in", self[f"{name}.csr"], "-CA", self[f"{by}.pem"], "-CAkey", self[f"{by}.key"],
                "-copy_extensions", "copy", "-days", str(days), "-out", self[f"{name}.pem"])

    def store(self, name, password, *arguments):
        openssl("pkcs12", "-export", "-passout", f"pass:{password}", "-out", self[name], *arguments)
        return self[name]


def client_hello():
    """The first flight of a real client, to which a server answers with a signature."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake with nobody")
