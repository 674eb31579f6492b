"""The verb `mcp`: a Model Context Protocol server, with which agents inspect and control a running emulator.

It speaks over stdin and stdout (modelcontextprotocol.io) and calls the control API of one emulator. Agents call the API
itself with the clients of their project; here they see the effects of those calls.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from emulator.cli.client import ControlFailed, add_target, opened
from emulator.core.version import VERSION

INSTRUCTIONS = (
    "Look into a local emulator of xAI's Files, Collections, Documents search, Batch, chat and responses APIs, and "
    "steer it: read which calls a program made (list_calls, list_unknown_calls), plan faults and answers, move the "
    "clock, search its collections, save and restore its state. Nothing here reaches the real service. The argument "
    "`team` names the tenant; a program is in team NAME if its key ends with @NAME, else in `default`. The resource "
    "emulator://guide lists addresses, keys and calls."
)
GUIDE = "emulator://guide"
NEEDS_MCP = "this needs a package: pip install 'mcp>=2'"


def add_verbs(verbs: Any) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "mcp",
        help="serve the Model Context Protocol on stdin and stdout, for agents",
        examples=("mcp --url http://localhost:7878",),
    )
    add_target(parser, of_team=False)
    parser.set_defaults(run=_mcp)


def _mcp(options: argparse.Namespace) -> int:
    try:
        import anyio
        from mcp.server.stdio import stdio_server
    except ImportError:
        raise ControlFailed(NEEDS_MCP) from None
    server = build_server(options)

    async def serve() -> None:
        async with stdio_server() as (received, sent):
            await server.run(received, sent, server.create_initialization_options())

    anyio.run(serve)
    return 0


def build_server(options: argparse.Namespace) -> Any:
    """Return an MCP server for the emulator that the options select."""
    import anyio.to_thread
    import mcp_types as types
    from mcp.server import Server

    from emulator.cli.mcp_tools import DESTRUCTIVE, tools

    def listed(name: str) -> types.Tool:
        tool = tools()[name]
        hints = types.ToolAnnotations(
            read_only_hint=tool.reads, destructive_hint=name in DESTRUCTIVE, open_world_hint=False
        )
        return types.Tool(name=name, description=tool.description, input_schema=tool.schema, annotations=hints)

    async def list_tools(context: Any, parameters: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[listed(name) for name in tools()])

    async def call_tool(context: Any, parameters: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            text = await anyio.to_thread.run_sync(_call, options, parameters.name, parameters.arguments or {})
        except (ControlFailed, ValueError) as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=json.loads(text))

    async def list_resources(context: Any, parameters: Any) -> types.ListResourcesResult:
        about = "Addresses, keys and calls of the emulator, as its /llms.txt has them."
        guide = types.Resource(name="guide", uri=GUIDE, description=about, mime_type="text/markdown")
        return types.ListResourcesResult(resources=[guide])

    async def read_resource(context: Any, parameters: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        if str(parameters.uri) != GUIDE:
            raise ValueError(f"there is no resource {parameters.uri}; {GUIDE} is one")
        text = await anyio.to_thread.run_sync(_read, options, "GET", "/llms.txt")
        contents = types.TextResourceContents(uri=GUIDE, mime_type="text/markdown", text=text)
        return types.ReadResourceResult(contents=[contents])

    return Server(
        "xai-emulator",
        version=VERSION,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_read_resource=read_resource,
    )


def _call(options: argparse.Namespace, name: str, arguments: dict[str, Any]) -> str:
    """Return the JSON response of a tool. Raises ControlFailed and ValueError."""
    from emulator.cli.mcp_tools import tools

    tool = tools().get(name)
    if tool is None:
        raise ValueError(f"there is no tool {name!r}")
    path, query, body = tool.call(arguments)
    return _read(options, tool.method, path, body, query)


def _read(
    options: argparse.Namespace, method: str, path: str, body: bytes | None = None, query: dict[str, Any] | None = None
) -> str:
    with opened(options, method, path, body, query=query or {}) as reply:
        return reply.read().decode()
