"""A real timestamping authority (RFC 3161), made of the program `openssl`, for tests."""

import subprocess
from pathlib import Path

_CONFIG = """
[ tsa ]
default_tsa = this
[ this ]
serial = {directory}/serial
signer_cert = {directory}/tsa.pem
signer_key = {directory}/tsa.key
certs = {directory}/tsa.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[ usage ]
extendedKeyUsage = critical,timeStamping
"""


class TimestampingAuthority:
    """Signs what it is asked for. `authorities`: the certificate (PEM) that its own is signed by."""

    def __init__(self, directory: Path, name: str = "Test") -> None:
        self._directory = directory
        directory.mkdir()
        self.authorities = directory / "ca.pem"
        self._config = directory / "tsa.cnf"
        self._config.write_text(_CONFIG.format(directory=directory))
        (directory / "serial").write_text("01\n")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
        ca_key, key, request = directory / "ca.key", directory / "tsa.key", directory / "tsa.csr"
        self._run("req", "-x509", *curve, "-subj", f"/CN={name} authority", "-keyout", ca_key, "-out", self.authorities)
        self._run("req", *curve[:-2], "-subj", f"/CN={name} timestamps", "-keyout", key, "-out", request)
        signing = ("-CA", self.authorities, "-CAkey", ca_key, "-CAcreateserial", "-days", "2")
        self._run(
            "x509", "-req", "-in", request, *signing, "-extfile", self._config, "-extensions", "usage",
            "-out", directory / "tsa.pem",
        )  # fmt: skip

    def answer(self, query: bytes) -> tuple[int, bytes]:
        """Status and body, as a server of timestamps answers."""
        asked, said = self._directory / "query", self._directory / "response"
        asked.write_bytes(query)
        self._run("ts", "-reply", "-config", self._config, "-queryfile", asked, "-out", said)
        return 200, said.read_bytes()

    def _run(self, *words: object) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60, cwd=self._directory)
