"""The WebSocket of `container exec`, in front of the gRPC stream `ContainerExecService.AttachExec`."""
