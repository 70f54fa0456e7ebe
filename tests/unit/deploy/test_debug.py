"""What is secret in the environment is in no bundle, whichever part it would come from."""

import io
import json
import tarfile

from deploy.debug import archive, secrets

ENVIRONMENT = {
    "DATABASE_URL": "postgresql://kontena:p%40ssword-of-it@db/kontena",
    "CLUSTER_SECRET": 'with a "quote" in it',
    "VAULT_KEY": "the current key",
    "VAULT_OLD_KEYS": "an older key,the oldest key",
    "BACKUP_PASSPHRASE": "correct horse battery",
    "KONTENA_GRID_TOKEN": "token-of-a-grid",
    "GRID_ADDRESS": "grid_svc:7402",
}
SECRETS = [
    "p@ssword-of-it", "p%40ssword-of-it", 'with a "quote" in it', "the current key", "an older key", "the oldest key",
    "correct horse battery", "token-of-a-grid",
]  # fmt: skip


def test_no_secret_value_is_in_an_archive() -> None:
    parts = {
        "log": "".join(f"before {secret} after\n" for secret in SECRETS),
        "json": json.dumps({"all": SECRETS, "address": "grid_svc:7402"}),
    }
    with tarfile.open(fileobj=io.BytesIO(archive(parts, secrets(ENVIRONMENT)))) as tar:
        texts = {one.name: tar.extractfile(one).read().decode() for one in tar}  # type: ignore[union-attr]
    assert set(texts) == {"kontena-debug/log", "kontena-debug/json"}
    written = "\n".join(texts.values())
    assert [secret for secret in SECRETS if secret in written or json.dumps(secret)[1:-1] in written] == []
    assert written.count("[redacted]") == 2 * len(SECRETS)
    assert "grid_svc:7402" in written
