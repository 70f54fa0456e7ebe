"""The image of an instance."""

import asyncio

from agent.domain.errors import ImageUnavailable, SecretsNeeded
from agent.domain.labels import InstanceKey
from agent.operations.kinds import CREATE
from agent.operations.overtaken import unless_overtaken
from agent.runtime.ports import Image, Login
from agent.site import Severity, Site
from kontena.deploy.v1 import assignment_pb2 as pb


class Images:
    """Of one instance; tells what becomes of them."""

    def __init__(self, key: InstanceKey, site: Site, overtaken: asyncio.Event) -> None:
        self._key = key
        self._site = site
        self._overtaken = overtaken
        # The image and the rollout that it was last said to be got for.
        self._getting = ("", "")

    async def of_rollout(self, assignment: pb.Assignment, *, sealed: bool) -> Image:
        """Pull the image of this rollout, once."""
        pod = assignment.pod
        if (wanted := (pod.image, assignment.deploy_rev)) != self._getting:
            self._getting = wanted
            self._tell(f"getting image {pod.image}")
        login = None
        if pod.HasField("image_credentials") and not sealed:
            given = pod.image_credentials
            login = Login(given.username, given.password, given.email)
        try:
            pull = self._site.runtime.images.ensure(pod.image, assignment.deploy_rev, login)
            image = await unless_overtaken(self._overtaken, pull)
        except ImageUnavailable as error:
            if sealed and pod.HasField("image_credentials"):
                raise SecretsNeeded("the login of the registry is known to the master only") from error
            raise
        if image.pulled:
            self._site.pulled(image.id)
        if image.problem:
            text = f"image {pod.image} was not pulled, the copy on this node is used: {image.problem}"
            self._tell(text[:500], "warn")
        return image

    def _tell(self, message: str, severity: Severity = "info") -> None:
        self._site.events.put(self._key, severity, CREATE, message)
