"""A TLS client that says what Python's own cannot: OpenSSL's library, called by its C interface."""

import ctypes
import socket
import ssl
import struct

LIBRARY = ctypes.CDLL("libssl.so.3")
VERSIONS = {ssl.TLSVersion.TLSv1_2: 0x0303, ssl.TLSVersion.TLSv1_3: 0x0304}
SET_MIN_VERSION, SET_MAX_VERSION = 123, 124  # SSL_CTX_ctrl
WITHOUT_ANSWER, WITH_ANSWER = 0, 1  # what SSL_key_update asks for

for _name in ("TLS_client_method", "SSL_CTX_new", "SSL_new"):
    getattr(LIBRARY, _name).restype = ctypes.c_void_p


class Peer:
    """One connection; certificates are not looked at. A call that fails is an OSError."""

    def __init__(self, address, version=ssl.TLSVersion.TLSv1_3, wait=20):
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for way in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.sock.setsockopt(socket.SOL_SOCKET, way, struct.pack("ll", wait, 0))
        context = ctypes.c_void_p(LIBRARY.SSL_CTX_new(ctypes.c_void_p(LIBRARY.TLS_client_method())))
        for bound in (SET_MIN_VERSION, SET_MAX_VERSION):
            LIBRARY.SSL_CTX_ctrl(context, bound, ctypes.c_long(VERSIONS[version]), None)
        self.ssl = ctypes.c_void_p(LIBRARY.SSL_new(context))
        LIBRARY.SSL_CTX_free(context)
        LIBRARY.SSL_set_fd(self.ssl, self.sock.fileno())
        self._must(LIBRARY.SSL_connect(self.ssl))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIBRARY.SSL_free(self.ssl)
        self.sock.close()

    @staticmethod
    def _must(result):
        if result <= 0:
            LIBRARY.ERR_clear_error()
            raise OSError("TLS has ended")
        return result

    def sendall(self, data):
        self._must(LIBRARY.SSL_write(self.ssl, data, len(data)))

    def recv(self, size):
        room = ctypes.create_string_buffer(size)
        size = self._must(LIBRARY.SSL_read(self.ssl, room, size))
        return room.raw[:size]

    def update_key(self, kind=WITHOUT_ANSWER):
        self._must(LIBRARY.SSL_key_update(self.ssl, kind))
        self._must(LIBRARY.SSL_do_handshake(self.ssl))
