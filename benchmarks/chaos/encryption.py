"""TLS of a group of servers."""

from pathlib import Path
from typing import NamedTuple


class Encryption(NamedTuple):
    """The files of a certificate for 127.0.0.1, of its key, and of the authority that signed it, in PEM."""

    authority: Path
    certificate: Path
    key: Path

    def lines(self, port: int) -> list[str]:
        """The lines of a server's or Sentinel's configuration: TLS at `port`, and in all that it asks others."""
        return [
            "port 0",
            f"tls-port {port}",
            f"tls-ca-cert-file {self.authority}",
            f"tls-cert-file {self.certificate}",
            f"tls-key-file {self.key}",
            "tls-auth-clients no",
            "tls-replication yes",
        ]
