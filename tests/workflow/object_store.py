"""A real S3 server on the loopback (moto), and a proxy before it that makes trouble."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test", "AWS_DEFAULT_REGION": "us-east-1"}
"""Of the server: what clients find credentials in."""
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def uri(port: int, path: str, bucket: str = "bucket") -> str:
    """A run folder in the server at ``port``."""
    return f"s3://{bucket}/{path}?endpoint_override=127.0.0.1:{port}&scheme=http"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def request(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body or None, headers, method=method)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        return bytes(answer.read())


def give_keys(patch: pytest.MonkeyPatch) -> None:
    """To this process and those that it starts."""
    for name, value in KEYS.items():
        patch.setenv(name, value)


@contextmanager
def s3_server() -> Iterator[int]:
    """The port of a server with an empty ``bucket``."""
    pytest.importorskip("moto", reason="moto[s3] serves S3 in this test")
    pytest.importorskip("flask_cors", reason="moto's server needs flask-cors")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **KEYS}
    )
    try:
        for _ in range(600):
            try:
                request(port, "PUT", "/bucket")
                break
            except OSError:
                assert process.poll() is None, "the S3 server has ended"
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def reader(port: int) -> dict[str, str]:
    """Keys that may list and read the bucket, but not write; the server asks everybody for permission from now on."""
    script = f"""
import boto3, json
iam = boto3.client("iam", endpoint_url="http://127.0.0.1:{port}", region_name="us-east-1")
iam.create_user(UserName="reader")
allowed = {{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject", "s3:HeadObject"], "Resource": "*"}}
document = json.dumps({{"Version": "2012-10-17", "Statement": [allowed]}})
iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=document)
key = iam.create_access_key(UserName="reader")["AccessKey"]
print(json.dumps({{"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}}))
"""
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, **KEYS}, capture_output=True, check=True)
    request(port, "POST", "/moto-api/reset-auth", b"0", **{"Content-Type": "text/plain"})
    return dict(json.loads(done.stdout))


@dataclass
class Trouble:
    """What the proxy does to each request; numbers count from 1, over all requests or those that put an object."""

    fails: Callable[[int], bool] = lambda number: False
    """Whether to answer 503."""
    hangs_up: Callable[[int], bool] = lambda number: False
    """Whether to close the connection without an answer."""
    delay: Callable[[int], float] = lambda number: 0.0
    """Seconds before the answer."""
    before_put: Callable[[int], None] = lambda number: None
    """Called before an object is put."""
    after_put: Callable[[int], None] = lambda number: None
    """Called when it has been, before the answer."""
    refuses_strangers: bool = False
    """Whether requests that nobody has signed are answered as S3 does; moto has an error of its own there."""
    failed: int = 0
    numbers: dict[str, int] = field(default_factory=lambda: {"all": 0, "PUT": 0})
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str) -> int:
        with self.lock:
            self.numbers[kind] += 1
            return self.numbers[kind]


@contextmanager
def proxy(target: int, trouble: Trouble) -> Iterator[int]:
    """The port of a proxy before the server at ``target``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *parts: object) -> None:
            pass

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while length := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def handle_any(self) -> None:
            body = self.body()
            number = trouble.count("all")
            time.sleep(trouble.delay(number))
            if trouble.refuses_strangers and "Authorization" not in self.headers:
                self.answer(403, [("Content-Length", str(len(DENIED)))], DENIED)
                return
            if trouble.hangs_up(number):
                trouble.failed += 1
                self.close_connection = True
                return
            if trouble.fails(number):
                trouble.failed += 1
                self.answer(503, [("Content-Length", str(len(SLOW_DOWN)))], SLOW_DOWN)
                return
            put = trouble.count("PUT") if self.command == "PUT" else 0
            if put:
                trouble.before_put(put)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("transfer-encoding", "expect")}
            with closing(http.client.HTTPConnection("127.0.0.1", target, timeout=20)) as connection:
                connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
                answer = connection.getresponse()
                content = answer.read()
            if put:
                trouble.after_put(put)
            self.answer(answer.status, answer.getheaders(), content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *where: object) -> None:
            """A client that was killed is what the tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
