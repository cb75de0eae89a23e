"""Subscribers of one channel that do nothing but stay."""

import selectors
import socket
import threading

from .servers import PATIENCE, Server

HANDSHAKE = (
    "GET /connection/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
).encode()


class Crowd:
    """`count` clients over WebSocket. They answer pings until the `with` block ends."""

    def __init__(self, server: Server, count: int, channel: str):
        self.server = server
        self.count = count
        self.channel = channel

    def __enter__(self):
        self.clients = [self._join() for _ in range(self.count)]
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._stay, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        for client in self.clients:
            client.close()

    def _join(self) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.server.port), PATIENCE)
        client.sendall(HANDSHAKE)
        wait_for(client, b"\r\n\r\n")
        client.sendall(frame(b'{"id":1,"connect":{}}'))
        wait_for(client, b'"id":1')
        client.sendall(frame(b'{"id":2,"subscribe":{"channel":"%s"}}' % self.channel.encode()))
        wait_for(client, b'"id":2,"subscribe"')
        return client

    def _stay(self) -> None:
        with selectors.DefaultSelector() as readable:
            for client in self.clients:
                readable.register(client, selectors.EVENT_READ)
            while not self.is_over.is_set():
                for key, _ in readable.select(timeout=0.2):
                    received = key.fileobj.recv(4096)
                    if not received:
                        # The node knows how many are left, and is asked in the end.
                        return
                    if b"{}" in received:
                        key.fileobj.sendall(frame(b"{}"))


def frame(text: bytes) -> bytes:
    """A short text frame, masked with zeros."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text


def wait_for(client: socket.socket, end: bytes) -> None:
    received = b""
    while end not in received:
        part = client.recv(4096)
        if not part:
            raise SystemExit(f"the server closed a connection: {received!r}")
        received += part
