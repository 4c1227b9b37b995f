"""Certificates for an engine over TLS and its clients, made by ``openssl``."""

from __future__ import annotations

import subprocess
from pathlib import Path

EXTENSIONS = {
    "ca": "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n",
    "server": "subjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth\nauthorityKeyIdentifier = keyid\n",
    "client": "extendedKeyUsage = clientAuth\nauthorityKeyIdentifier = keyid\n",
}


class Authority:
    """A certificate authority in ``folder``, with a server's certificate for 127.0.0.1 and a client's."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        for kind, extensions in EXTENSIONS.items():
            (folder / f"{kind}.ext").write_text(extensions)
            self._make(kind)

    def path(self, name: str) -> str:
        """For example ``ca.pem``, ``server.key``."""
        return str(self._folder / name)

    def _make(self, kind: str) -> None:
        self._openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{kind}.key", "-out", f"{kind}.csr", "-subj", f"/CN={self._folder.name} {kind}",
        )  # fmt: skip
        signer = ["-signkey", "ca.key"] if kind == "ca" else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        self._openssl(
            "x509", "-req", "-in", f"{kind}.csr", "-days", "2", "-extfile", f"{kind}.ext", "-out", f"{kind}.pem",
            *signer,
        )  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True, timeout=60)
