"""All that is served over HTTP, on one port."""

from __future__ import annotations

from chassis.runtime.core import metrics
from chassis.runtime.core.request_error import RequestError
from chassis.runtime.core.service import ModelService
from chassis.runtime.http import kserve_v1, open_inference
from chassis.runtime.http.message import Request, Response, Route, json_response
from chassis.runtime.http.server import HttpServer
from chassis.runtime.inference.exchange import Identity
from chassis.runtime.inference.extensions import Extensions, unserved_path
from chassis.runtime.settings import Settings
from chassis.runtime.version import VERSION

_VITAL = ("live", "ready", "v1_live", "v1_ready", "metrics")
"""What is answered even if connections run out."""


def http_server(settings: Settings, model: ModelService) -> HttpServer:
    """The server of the protocols that `settings` choose, with metrics, health and their description."""
    identity = Identity(settings.name, settings.version)
    v2 = open_inference.OpenInference(Extensions.of(settings, model))
    routes = v2.health_routes()
    if open_inference.PROTOCOL in settings.servers:
        routes += v2.routes()
    if kserve_v1.PROTOCOL in settings.servers:
        routes += kserve_v1.KserveV1(model, identity, one_input=model.contract.one_input).routes()

    def show_description(_: Request) -> Response:
        from chassis.runtime.http import openapi  # here, since it is seldom asked for

        return json_response(200, openapi.describe(identity, VERSION, routes, model.contract))

    def not_found(request: Request) -> Response:
        parts = request.path.split("/")
        if len(parts) > 3 and parts[1] in ("v1", "v2") and parts[2] == "models":
            identity.check(
                parts[3].removesuffix(":predict"), parts[5] if parts[4:5] == ["versions"] and parts[5:] else ""
            )
        if reason := unserved_path(request.path):
            raise RequestError(404, reason)
        raise RequestError(404, "there is nothing at this path; /openapi.json lists what there is")

    routes += [
        _metrics_route(model),
        Route("/openapi.json", "GET", show_description, "openapi"),
    ]
    return HttpServer(
        routes,
        limits=settings.limits,
        budget=model.budget,
        not_found=not_found,
        vital={*(route.path for route in routes if route.operation in _VITAL)},
        origins=settings.cors_origins,
    )


def metrics_server(settings: Settings, model: ModelService) -> HttpServer:
    """A server of metrics and health alone, for a port of its own."""
    routes = [*open_inference.OpenInference(Extensions.of(settings, model)).health_routes(), _metrics_route(model)]

    def not_found(request: Request) -> Response:
        raise RequestError(404, "this port has /metrics, /v2/health/live and /v2/health/ready")

    return HttpServer(
        routes,
        limits=settings.limits,
        budget=model.budget,
        not_found=not_found,
        vital={*(route.path for route in routes)},
    )


def _metrics_route(model: ModelService) -> Route:
    return Route(
        "/metrics", "GET", lambda _: Response(200, model.metrics_text().encode(), metrics.CONTENT_TYPE), "metrics"
    )
