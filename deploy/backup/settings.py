"""Settings of backups."""

import getpass
import sys
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.backup.sealed_file import check_passphrase
from services.kernel.settings import WHO_READS_METRICS, MetricsToken


class BackupSettings(BaseSettings):
    """Read from the environment. An empty variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix="BACKUP_", env_ignore_empty=True, hide_input_in_errors=True)

    passphrase: SecretStr | None = Field(default=None, description="Encrypts backups; 12 characters or more.")
    passphrase_file: Path | None = Field(default=None, description="File with the passphrase, instead of it.")
    folder: Path | None = Field(
        default=None, description="Where scheduled backups are kept; without it there are none."
    )
    every_hours: float = Field(default=24.0, gt=0, description="How often one is made.")
    keep: int = Field(default=7, ge=1, description="How many are kept; older ones are removed after a new one is made.")
    metrics_address: str = Field(
        default="",
        validation_alias="METRICS_ADDRESS",
        description="host:port of the Prometheus endpoint of the process that makes them; empty means none.",
    )
    metrics_token: MetricsToken = Field(default=None, validation_alias="METRICS_TOKEN", description=WHO_READS_METRICS)
    history: bool = Field(default=True, description="Whether scheduled backups hold logs, events and samples.")

    def secret(self, *, twice: bool = False) -> str:
        """The passphrase, asked for where nothing gives it and somebody can be asked. Raises ValueError when there is
        none, or a bad one; OSError for a file that cannot be read."""
        passphrase = self._given() or (_asked(twice=twice) if sys.stdin.isatty() else "")
        if not passphrase:
            raise ValueError("a passphrase is needed: set BACKUP_PASSPHRASE or BACKUP_PASSPHRASE_FILE")
        check_passphrase(passphrase)
        return passphrase

    def _given(self) -> str:
        if self.passphrase is not None:
            return self.passphrase.get_secret_value()
        return self.passphrase_file.read_text().strip("\r\n") if self.passphrase_file is not None else ""


def _asked(*, twice: bool) -> str:
    passphrase = getpass.getpass("Passphrase of the backup: ")
    if twice and getpass.getpass("Once more: ") != passphrase:
        raise ValueError("the two passphrases differ")
    return passphrase
