"""The HTTP API: the real server's routes, status codes, bodies and headers over a `ProxyCollection`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chaoskit.toxiproxy.server import PROTOCOL_VERSION
from chaoskit.toxiproxy.server.collection import ProxyCollection
from chaoskit.toxiproxy.server.metrics import CONTENT_TYPE
from chaoskit.toxiproxy.server.toxic import DIRECTIONS
from chaoskit.toxiproxy.server.wire import ApiError, read_json

Handler = Callable[[Request], Awaitable[Response]]


def to_json(value: Any) -> str:
    """JSON as Go writes it: no spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def answer(value: Any, status: int = 200) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def plain_error(text: str, status: int) -> Response:
    """What Go's `http.Error` sends."""
    headers = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    return Response(text + "\n", status, headers=headers)


def guarded(handler: Handler) -> Handler:
    """Refuse browsers (a web page must not be able to break a system) and answer `ApiError`s."""

    async def guard(request: Request) -> Response:
        if request.headers.get("user-agent", "").startswith("Mozilla/"):
            return plain_error("User agent not allowed", 403)
        try:
            return await handler(request)
        except ApiError as error:
            return plain_error(to_json({"error": error.message, "status": error.status}), error.status)

    return guard


class Api:
    """One method per route."""

    def __init__(self, collection: ProxyCollection) -> None:
        self.collection = collection

    async def proxy_index(self, request: Request) -> Response:
        proxies = self.collection.proxies
        return answer({name: proxies[name].as_json() for name in sorted(proxies)})

    async def proxy_create(self, request: Request) -> Response:
        proxy = await self.collection.create(read_json(await request.body()))
        return answer(proxy.as_json(), 201)

    async def populate(self, request: Request) -> Response:
        try:
            proxies, error = await self.collection.populate(read_json(await request.body()))
        except ApiError as unreadable:
            proxies, error = [], unreadable
        body: dict[str, Any] = {"error": error.message, "status": error.status} if error else {}
        body["proxies"] = [proxy.as_json() for proxy in proxies] or None
        return answer(body, error.status if error else 201)

    async def reset(self, request: Request) -> Response:
        await self.collection.reset()
        return Response(status_code=204)

    async def proxy_show(self, request: Request) -> Response:
        return answer(self.collection.get(request.path_params["proxy"]).as_json())

    async def proxy_update(self, request: Request) -> Response:
        name = request.path_params["proxy"]
        self.collection.get(name)
        proxy = await self.collection.update(name, read_json(await request.body()))
        return answer(proxy.as_json())

    async def proxy_delete(self, request: Request) -> Response:
        await self.collection.delete(request.path_params["proxy"])
        return Response(status_code=204)

    async def toxic_index(self, request: Request) -> Response:
        proxy = self.collection.get(request.path_params["proxy"])
        return answer([toxic.as_json() for way in DIRECTIONS for toxic in proxy.toxics_of(way)])

    async def toxic_create(self, request: Request) -> Response:
        name = request.path_params["proxy"]
        self.collection.get(name)
        return answer(self.collection.add_toxic(name, read_json(await request.body())).as_json())

    async def toxic_show(self, request: Request) -> Response:
        params = request.path_params
        return answer(self.collection.toxic(params["proxy"], params["toxic"]).as_json())

    async def toxic_update(self, request: Request) -> Response:
        proxy, toxic = request.path_params["proxy"], request.path_params["toxic"]
        self.collection.toxic(proxy, toxic)
        body = read_json(await request.body())
        return answer(self.collection.update_toxic(proxy, toxic, body).as_json())

    async def toxic_delete(self, request: Request) -> Response:
        self.collection.remove_toxic(request.path_params["proxy"], request.path_params["toxic"])
        return Response(status_code=204)

    async def version(self, request: Request) -> Response:
        text = f'{{"version": "{PROTOCOL_VERSION}"}}\n'
        return Response(text, headers={"content-type": "application/json;charset=utf-8"})

    async def metrics(self, request: Request) -> Response:
        return Response(self.collection.world.metrics.text(), headers={"content-type": CONTENT_TYPE})


def application(collection: ProxyCollection) -> Starlette:
    """The ASGI application of one server."""
    api = Api(collection)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/proxies", api.proxy_index),
        ("POST", "/proxies", api.proxy_create),
        ("POST", "/populate", api.populate),
        ("POST", "/reset", api.reset),
        ("GET", "/proxies/{proxy}", api.proxy_show),
        ("POST PATCH", "/proxies/{proxy}", api.proxy_update),
        ("DELETE", "/proxies/{proxy}", api.proxy_delete),
        ("GET", "/proxies/{proxy}/toxics", api.toxic_index),
        ("POST", "/proxies/{proxy}/toxics", api.toxic_create),
        ("GET", "/proxies/{proxy}/toxics/{toxic}", api.toxic_show),
        ("POST PATCH", "/proxies/{proxy}/toxics/{toxic}", api.toxic_update),
        ("DELETE", "/proxies/{proxy}/toxics/{toxic}", api.toxic_delete),
        ("GET", "/version", api.version),
        ("GET", "/metrics", api.metrics),
    ]
    routes = [Route(path, guarded(handler), methods=methods.split()) for methods, path, handler in table]
    for route in routes:
        (route.methods or set()).discard("HEAD")  # the real server answers 405
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _wrong_method})
    app.router.redirect_slashes = False
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    return plain_error("404 page not found", 404)


async def _wrong_method(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return Response(status_code=405, headers=headers)
