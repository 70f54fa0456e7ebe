"""CertificateDeliveryService, for other services of the suite."""

from kontena.vault.v1 import certificate_delivery_pb2 as pb
from kontena.vault.v1.certificate_delivery_pb2_grpc import CertificateDeliveryServiceServicer
from services.kernel.methods import Context
from services.vault_svc.usecases.certificate_delivery import CertificateDelivery


class CertificateDeliveryServicer(CertificateDeliveryServiceServicer):
    """Private keys leave only here and in the export of one certificate."""

    def __init__(self, delivery: CertificateDelivery) -> None:
        self._delivery = delivery

    async def ListCertificateSubjects(
        self, request: pb.ListCertificateSubjectsRequest, context: Context
    ) -> pb.ListCertificateSubjectsResponse:
        found = await self._delivery.existing(request.grid_id, request.subjects)
        return pb.ListCertificateSubjectsResponse(subjects=found)

    async def ResolveCertificates(
        self, request: pb.ResolveCertificatesRequest, context: Context
    ) -> pb.ResolveCertificatesResponse:
        found = await self._delivery.bundles(request.grid_id, request.subjects)
        return pb.ResolveCertificatesResponse(
            bundles={subject: one.reveal() for subject, one in found.items() if one is not None},
            unreadable=sorted(subject for subject, one in found.items() if one is None),
        )

    async def ResolveChallenges(
        self, request: pb.ResolveChallengesRequest, context: Context
    ) -> pb.ResolveChallengesResponse:
        found = await self._delivery.challenges(request.grid_id, request.services)
        services = {
            service: pb.ChallengeVariables(
                variables=[pb.ChallengeVariable(name=name, value=value.reveal()) for name, value in variables]
            )
            for service, variables in found.items()
        }
        return pb.ResolveChallengesResponse(services=services)
