"""SecretService (docs/spec/vault.md section 2)."""

from typing import Any

from google.protobuf.empty_pb2 import Empty

from kontena.vault.v1 import secret_pb2 as pb
from kontena.vault.v1.secret_pb2_grpc import SecretServiceServicer
from services.kernel import call, pages
from services.kernel.encoded import listing
from services.kernel.members import flag
from services.kernel.methods import Context
from services.vault_svc.convert import secrets as convert
from services.vault_svc.usecases.secrets import Secrets, SecretView


class SecretServicer(SecretServiceServicer):
    """Answers with a value are marked as not to be stored by anyone on the way."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def ListSecrets(self, request: pb.ListSecretsRequest, context: Context) -> Any:
        found = await self._secrets.of_grid(call.principal(), request.grid, pages.page(request))
        return listing(
            pb.ListSecretsResponse, "secrets", map(convert.listed, found), pb.ListSecretsResponse(next=found.next)
        )

    async def CreateSecret(self, request: pb.CreateSecretRequest, context: Context) -> pb.Secret:
        name = request.name if request.HasField("name") else None
        value = convert.plaintext_from_proto(request.value, present=request.HasField("value"))
        return _reply(await self._secrets.create(call.principal(), request.grid, name, value), created=True)

    async def GetSecret(self, request: pb.GetSecretRequest, context: Context) -> pb.Secret:
        return _reply(await self._secrets.show(call.principal(), request.id))

    async def UpdateSecret(self, request: pb.UpdateSecretRequest, context: Context) -> pb.Secret:
        view, created = await self._secrets.update(
            call.principal(),
            request.id,
            convert.plaintext_from_proto(request.value, present=request.HasField("value")),
            body_name=request.name if request.HasField("name") else None,
            upsert=flag(request.upsert),
        )
        return _reply(view, created=created)

    async def PutGridSecret(self, request: pb.PutGridSecretRequest, context: Context) -> pb.Secret:
        view, created = await self._secrets.put_in_grid(
            call.principal(),
            request.grid,
            request.name,
            convert.plaintext_from_proto(request.value, present=request.HasField("value")),
            upsert=flag(request.upsert),
        )
        return _reply(view, created=created)

    async def DeleteSecret(self, request: pb.DeleteSecretRequest, context: Context) -> Empty:
        await self._secrets.delete(call.principal(), request.id)
        return Empty()


def _reply(view: SecretView, *, created: bool = False) -> pb.Secret:
    call.current().reply_headers["cache-control"] = "no-store"
    if created:
        call.reply_created()
    return convert.secret_to_proto(view)
