# SPDX-License-Identifier: MIT
"""What guests with a network talk to: servers on this machine's loopback, which they see as scenario.HOST."""

import hashlib
import http.server
import ssl
import threading


class Web:
    """A server that hands out `files` ({path: bytes}) and keeps what is put, as {path: SHA-256}."""

    def __init__(self, files, certificate=None):
        """`certificate` is the path of a PEM file with a key and its certificate: then it speaks HTTPS."""
        self.files = files
        self.received = {}
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                data = web.files.get(self.path)
                self.send_response(404 if data is None else 200)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def do_PUT(self):
                digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
                while left and (data := self.rfile.read(min(left, 1 << 16))):
                    digest.update(data)
                    left -= len(data)
                web.received[self.path] = digest.hexdigest()
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass            # a client that goes, or does not trust us, is a test's business

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # the handshake is the handler's, so that a slow one holds nobody up
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
