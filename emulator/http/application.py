"""The Starlette application, which runs on the event loop that owns the state and can be called from any other loop.

A short path, `respond_on_port`, serves the requests of the emulator's own port that its first route (the table of the
API) answers. They skip the layers that do nothing for them: the check of the event loop, `Starlette.__call__`,
`ExceptionMiddleware` and `Router`, which take a tenth of a small GET. The result is the same: an exception of such a
request goes through Starlette's exception handlers, and every other request takes the full path.
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

    It can be mounted in another application: `Mount("/xai", emulator.app)`. State belongs to the loop on which it was
    created; a request on another loop is handled on the state's loop, and its messages are passed between the two.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute],
        *,
        not_found: ASGIApp,
        exception_handlers: Mapping[Any, Any],  # typed by the exception they accept; Starlette declares `Exception`
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
        self.router.redirect_slashes = False  # the API returns 404 for such paths

    def build_middleware_stack(self) -> ASGIApp:
        """Starlette's, without the middleware that answers 500 to unexpected errors, as each server does.

        So a defect is reported once, by the port or by the application that mounts this one.
        """
        app: ASGIApp = ExceptionMiddleware(self.router, self.exception_handlers, self.debug)
        for each, arguments, keywords in reversed(self.user_middleware):
            app = each(app, *arguments, **keywords)
        return app

    async def respond_on_port(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request of the emulator's own port, which runs on the state's loop."""
        table = self._table
        if table is not None and not self.user_middleware:  # a user may have added some
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
        if asyncio.get_running_loop() is self._loop or scope["type"] != "http":  # other scope types have no state
            await super().__call__(scope, receive, send)
        else:
            await self._call_from_elsewhere(scope, receive, send)

    async def _call_from_elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = asyncio.get_running_loop()

        async def elsewhere(function: Any, *arguments: Any) -> Any:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(*arguments), caller))

        run = super().__call__(scope, lambda: elsewhere(receive), lambda message: elsewhere(send, message))
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run, self._loop))
