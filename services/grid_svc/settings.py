"""Settings of grid_svc."""

import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from services.grid_svc.domain.heartbeat import Rhythm
from services.grid_svc.domain.join_script import master
from services.grid_svc.domain.token_sealing import DERIVATION
from services.kernel.cluster_token import NODE_LIFETIME
from services.kernel.sealing import Derivation
from services.kernel.settings import SealingSettings, own_or_shared

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


class Settings(SealingSettings):
    """Everything an operator can set. Durations are in seconds."""

    derivation: ClassVar[Derivation] = DERIVATION

    database_url: str = Field(validation_alias=own_or_shared("GRID_DATABASE_URL"))
    listen_address: str = "127.0.0.1:7402"
    heartbeat_seconds: float = Field(default=5.0, gt=0, description="How often agents send a sign of life.")
    heartbeats_per_second: float = Field(
        default=50.0,
        gt=0,
        description="Signs of life that a replica asks for: with more nodes, each sends one more seldom.",
    )
    last_seen_seconds: float = Field(
        default=2.5, gt=0, description="How often signs of life are written, in one batch."
    )
    reconnect_grace_seconds: float = Field(
        default=3.0, ge=0, description="A node whose stream broke counts as connected for so long, to come back."
    )
    liveness_seconds: float = Field(default=1.0, gt=0, description="How often lost nodes are looked for.")
    token_refresh_seconds: float = Field(
        default=NODE_LIFETIME / 2, gt=0, description="Age at which tokens are renewed."
    )
    count_deadline_seconds: float = Field(
        default=2.0, gt=0, description="How long deploy_svc may count before a deletion."
    )
    join_concurrency: int = Field(
        default=3, ge=1, description="New and returning nodes written at once, each; the others wait for a connection."
    )
    sample_seconds: float = Field(default=1.0, gt=0, description="How often samples are written, in one batch.")
    sample_retention_days: int = Field(default=7, ge=1, description="Age at which metrics are dropped.")
    stale_node_hours: float = Field(
        default=6.0, gt=0, description="Ephemeral nodes are removed after so long, unless they are initial members."
    )
    statsd_allowed: str = Field(
        default="",
        description="Host names, addresses and networks, comma separated, that metrics may be sent to although they are"
        " loopback, link-local or of the master.",
    )
    log_targets_allowed: str = Field(
        default="",
        description="Host names, addresses and networks, comma separated, that logs may be sent to although they are"
        " loopback (of each node), link-local or of the master.",
    )
    watch_resync_seconds: float = Field(default=60.0, gt=0, description="How often watches compare with the database.")
    master_url: str = Field(default="", description="Where new nodes reach the gateway: https://HOST:PORT.")
    master_ca_file: Path | None = Field(
        default=None,
        description="PEM file of whom nodes trust for TLS of the gateway; none: whom they trust anyway.",
    )

    def master_ca(self) -> str:
        """What `master_ca_file` holds, read once; empty without it. Raises ValueError when it has no certificate."""
        text = self.master_ca_file.read_text() if self.master_ca_file is not None else ""
        if self.master_ca_file is not None and not _CERTIFICATE.search(text):
            raise ValueError(f"MASTER_CA_FILE: {self.master_ca_file} has no certificate in PEM form")
        # Only these: whatever else such files say goes into scripts for root.
        return "\n".join(found[0] for found in _CERTIFICATE.finditer(text))

    @field_validator("master_url")
    @classmethod
    def _of_a_gateway(cls, url: str) -> str:
        if url and master(url, "") is None:
            raise ValueError("must be https://HOST:PORT, or http://HOST:PORT for a gateway without TLS")
        return url

    @property
    def rhythm(self) -> Rhythm:
        """Of signs of life."""
        return Rhythm(self.heartbeat_seconds, self.heartbeats_per_second, self.last_seen_seconds)
