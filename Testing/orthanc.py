"""A real PACS, Orthanc with its DICOMweb plugin, on loopback: behind TLS, with a certificate of its own and one user.

TLS ends in this process and not in Orthanc, as a hospital's proxy would have it: Debian's Orthanc dies of the first
encrypted connection (its civetweb was built for another OpenSSL).
"""

from __future__ import annotations

import json
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "radiologist", "s3cret-of-the-test"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECONDS_TO_START = 120  # on a machine that does much else


@dataclass(frozen=True)
class Orthanc:
    """`url` of its DICOMweb service; `certificate` is the file that verifies it."""

    url: str
    certificate: Path


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Start Orthanc with its storage in `folder`, and end it; skip the test where it is not installed."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None or not PLUGIN.exists() or shutil.which("openssl") is None:
        pytest.skip("Orthanc is not installed (Debian: apt-get install orthanc orthanc-dicomweb openssl)")
    port = _free_port()
    configuration = {
        "Name": "Test", "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "HttpPort": port, "HttpBindAddresses": ["127.0.0.1"], "DicomServerEnabled": False,
        "RemoteAccessAllowed": True, "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True}, "OverwriteInstances": True,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with open(folder / "orthanc.log", "w") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, port, folder / "orthanc.log")
            key, certificate = _certificate(folder)
            with _tls_in_front_of(port, key) as front:
                yield Orthanc(f"https://127.0.0.1:{front}/dicom-web", certificate)
        finally:
            process.terminate()
            process.wait(60)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; return the file with key and certificate, and that with the latter alone."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test PACS",
            "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def _tls_in_front_of(port: int, key: Path) -> Iterator[int]:
    """Relay encrypted connections to a plain port; yields the port for them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(key)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port)) as inner,
            ):
                back = threading.Thread(target=_copy, args=(inner, outer))
                back.start()
                _copy(outer, inner)
                back.join()

    class Front(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Front(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _wait(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=10)
        except urllib.error.HTTPError:
            return  # it answers: that it wants to know who we are
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"Orthanc did not start:\n{log.read_text()[-2000:]}")
