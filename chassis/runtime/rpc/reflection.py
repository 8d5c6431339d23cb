"""Server reflection; it is imported when someone asks, which in production nobody does."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.runtime.rpc.call import Call

SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Two names of one service: their messages are the same on the wire."""

METHOD = "ServerReflectionInfo"


class Reflection:
    """Describes services by grpcio-reflection."""

    def __init__(self, names: Sequence[str]) -> None:
        """Takes the full names of the services that the server has."""
        self._names = names

    async def answer(self, call: Call) -> None:
        """Answers one question after another, until the caller has no more."""
        from grpc_reflection.v1alpha import reflection, reflection_pb2

        servicer = reflection.ReflectionServicer(self._names)
        while (content := await call.receive()) is not None:
            asked = reflection_pb2.ServerReflectionRequest.FromString(content)
            for response in servicer.ServerReflectionInfo(iter([asked]), None):
                await call.send(response.SerializeToString())
