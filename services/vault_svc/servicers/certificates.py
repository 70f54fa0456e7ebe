"""CertificateService (docs/spec/vault.md sections 4 and 5.2)."""

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from kontena.vault.v1 import certificate_pb2 as pb
from kontena.vault.v1.certificate_pb2_grpc import CertificateServiceServicer
from services.kernel import call, pages
from services.kernel.members import given
from services.kernel.methods import Context
from services.vault_svc.convert import certificates as convert
from services.vault_svc.convert.secrets import plaintext_from_proto
from services.vault_svc.usecases.acme_accounts import AcmeAccounts
from services.vault_svc.usecases.certificates import Certificates
from services.vault_svc.usecases.domain_authorizations import DomainAuthorizations


class CertificateServicer(CertificateServiceServicer):
    def __init__(
        self, accounts: AcmeAccounts, authorizations: DomainAuthorizations, certificates: Certificates
    ) -> None:
        self._accounts = accounts
        self._authorizations = authorizations
        self._certificates = certificates

    async def RegisterAcmeAccount(self, request: pb.RegisterAcmeAccountRequest, context: Context) -> Empty:
        await self._accounts.register(call.principal(), request.grid, **given(request, "email"))
        call.reply_created()
        return Empty()

    async def AuthorizeDomain(self, request: pb.AuthorizeDomainRequest, context: Context) -> pb.AuthorizeDomainResponse:
        found = await self._authorizations.authorize(call.principal(), request.grid, **given(request, "domain"))
        call.reply_created()
        return convert.record_to_proto(found)

    async def CreateSecretCertificate(self, request: pb.CreateSecretCertificateRequest, context: Context) -> HttpBody:
        names = await self._certificates.create_in_secrets(
            call.principal(),
            request.grid,
            **given(request, "secret_name", "cert_type"),
            domains=request.domains,
        )
        call.reply_created()
        return convert.names_to_json(names)

    async def ListCertificates(
        self, request: pb.ListCertificatesRequest, context: Context
    ) -> pb.ListCertificatesResponse:
        found = await self._certificates.of_grid(call.principal(), request.grid, pages.page(request))
        return pb.ListCertificatesResponse(certificates=map(convert.certificate_to_proto, found), next=found.next)

    async def CreateCertificate(self, request: pb.CreateCertificateRequest, context: Context) -> pb.Certificate:
        view = await self._certificates.create(call.principal(), request.grid, request.domains)
        call.reply_created()
        return convert.certificate_to_proto(view)

    async def GetCertificate(self, request: pb.GetCertificateRequest, context: Context) -> pb.Certificate:
        return convert.certificate_to_proto(await self._certificates.show(call.principal(), request.id))

    async def ExportCertificate(
        self, request: pb.ExportCertificateRequest, context: Context
    ) -> pb.ExportCertificateResponse:
        grid, found, material = await self._certificates.export(call.principal(), request.id)
        call.current().reply_headers["cache-control"] = "no-store"
        return convert.export_to_proto(grid.name, found, material)

    async def ImportCertificate(self, request: pb.ImportCertificateRequest, context: Context) -> pb.Certificate:
        view = await self._certificates.import_(
            call.principal(),
            request.id,
            **given(request, "certificate"),
            private_key=plaintext_from_proto(request.private_key, present=request.HasField("private_key")),
            chain=list(request.chain),
        )
        call.reply_created()
        return convert.certificate_to_proto(view)

    async def DeleteCertificate(self, request: pb.DeleteCertificateRequest, context: Context) -> Empty:
        await self._certificates.delete(call.principal(), request.id)
        return Empty()
