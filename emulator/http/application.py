"""The application: Starlette's, on the event loop that owns the state, and callable from any other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send


class Application(Starlette):
    """The HTTP surface of one emulator; `not_found` answers HTTP requests that no route matches.

    It can be mounted in another application: `Mount("/xai", emulator.app)`. State belongs to the loop it was made on;
    a request that comes on another loop is handled on that one, and its messages are carried to and fro.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        not_found: ASGIApp,
        exception_handlers: Mapping[Any, Any],  # by the exceptions they take, where Starlette wants any exception
        middleware: Sequence[Middleware] = (),
    ) -> None:
        super().__init__(routes=routes, exception_handlers=exception_handlers, middleware=middleware)
        self._loop = asyncio.get_running_loop()
        default = self.router.default

        async def end(scope: Scope, receive: Receive, send: Send) -> None:
            await (not_found if scope["type"] == "http" else default)(scope, receive, send)

        self.router.default = end
        self.router.redirect_slashes = False  # the API refuses such paths

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's, but for the middleware that answers 500 to what nobody expected, as each server does.

        So a defect is answered and reported once, by the port or by the application that this one is mounted in.
        """
        app: ASGIApp = ExceptionMiddleware(self.router, self.exception_handlers, self.debug)
        for each, arguments, keywords in reversed(self.user_middleware):
            app = each(app, *arguments, **keywords)
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if asyncio.get_running_loop() is self._loop or scope["type"] != "http":  # nothing else has state
            await super().__call__(scope, receive, send)
        else:
            await self._call_from_elsewhere(scope, receive, send)

    async def _call_from_elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = asyncio.get_running_loop()

        async def elsewhere(function: Any, *arguments: Any) -> Any:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(*arguments), caller))

        run = super().__call__(scope, lambda: elsewhere(receive), lambda message: elsewhere(send, message))
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run, self._loop))
