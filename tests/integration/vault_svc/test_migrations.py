from services.kernel.migrations import drift
from services.vault_svc.store.tables import metadata


async def test_migrations_make_what_the_tables_say(vault_url: str) -> None:
    assert await drift(vault_url, metadata) == []
