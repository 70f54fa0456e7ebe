"""DomainAuthorizationService (docs/spec/vault.md section 5.4)."""

from google.protobuf.empty_pb2 import Empty

from kontena.vault.v1 import domain_authorization_pb2 as pb
from kontena.vault.v1.domain_authorization_pb2_grpc import DomainAuthorizationServiceServicer
from services.kernel import call, pages
from services.kernel.members import given
from services.kernel.methods import Context
from services.vault_svc.convert import certificates as convert
from services.vault_svc.usecases.domain_authorizations import DomainAuthorizations


class DomainAuthorizationServicer(DomainAuthorizationServiceServicer):
    def __init__(self, authorizations: DomainAuthorizations) -> None:
        self._authorizations = authorizations

    async def ListDomainAuthorizations(
        self, request: pb.ListDomainAuthorizationsRequest, context: Context
    ) -> pb.ListDomainAuthorizationsResponse:
        found = await self._authorizations.of_grid(call.principal(), request.grid, pages.page(request))
        return pb.ListDomainAuthorizationsResponse(
            domain_authorizations=map(convert.authorization_to_proto, found), next=found.next
        )

    async def CreateDomainAuthorization(
        self, request: pb.CreateDomainAuthorizationRequest, context: Context
    ) -> pb.DomainAuthorization:
        view = await self._authorizations.create(
            call.principal(), request.grid, **given(request, "domain", "authorization_type", "linked_service")
        )
        call.reply_created()
        return convert.authorization_to_proto(view)

    async def GetDomainAuthorization(
        self, request: pb.GetDomainAuthorizationRequest, context: Context
    ) -> pb.DomainAuthorization:
        return convert.authorization_to_proto(await self._authorizations.show(call.principal(), request.id))

    async def DeleteDomainAuthorization(self, request: pb.DeleteDomainAuthorizationRequest, context: Context) -> Empty:
        await self._authorizations.delete(call.principal(), request.id)
        return Empty()
