"""The application: Starlette's, on the event loop that owns the state, and callable from any other.

A short path, `respond_on_port`, serves the requests of the emulator's own port that its first route (the table of the
API) answers. They skip what does nothing for them: the question which loop they come on, `Starlette.__call__`,
`ExceptionMiddleware` and `Router`, a tenth of a small GET. The outcome is the same: what such a request raises goes
through Starlette's exception handlers after all, and every other request takes the whole way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.http.routing import MATCH, TableRoute


class Application(Starlette):
    """The HTTP surface of one emulator; `not_found` answers HTTP requests that no route matches.

    `table`, if given, is the first route.

    It can be mounted in another application: `Mount("/xai", emulator.app)`. State belongs to the loop it was made on;
    a request that comes on another loop is handled on that one, and its messages are carried to and fro.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        *,
        not_found: ASGIApp,
        exception_handlers: Mapping[Any, Any],  # by the exceptions they take, where Starlette wants any exception
        middleware: Sequence[Middleware] = (),
        table: TableRoute[Any] | None = None,
    ) -> None:
        routes = routes if table is None else [table, *routes]
        super().__init__(routes=routes, exception_handlers=exception_handlers, middleware=middleware)
        self._table = table
        self._loop = asyncio.get_running_loop()
        default = self.router.default

        async def end(scope: Scope, receive: Receive, send: Send) -> None:
            await (not_found if scope["type"] == "http" else default)(scope, receive, send)

        self.router.default = end
        self.router.redirect_slashes = False  # the API refuses such paths

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's, without the middleware that answers 500 to unexpected errors, as each server does.

        So a defect is answered and reported once, by the port or by the application that this one is mounted in.
        """
        app: ASGIApp = ExceptionMiddleware(self.router, self.exception_handlers, self.debug)
        for each, arguments, keywords in reversed(self.user_middleware):
            app = each(app, *arguments, **keywords)
        return app

    async def respond_on_port(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request of the emulator's own port, which is on the loop of the state."""
        table = self._table
        if table is not None and not self.user_middleware:  # which a user may add to an application
            match = table.find(scope)
            if match is not None and match.row is not None:
                scope[MATCH], scope["path_params"] = match, match.parameters
                try:
                    await table.app(scope, receive, send)
                except Exception as error:
                    await self._handle(error, scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _handle(self, error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to what a request raised, as ExceptionMiddleware does."""

        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            raise error

        await ExceptionMiddleware(fail, self.exception_handlers, self.debug)(scope, receive, send)

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
