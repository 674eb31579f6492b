"""The tools of `/v1/responses` in JSON (OpenAPI: ModelTool), in the order in which a refusal names them.

`collections_search` and `code_execution` are other names of the types before and after them (recorded, 2026-09).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from emulator.http.requests import Int32


class FunctionTool(Struct, tag="function"):
    """A function of the client."""

    name: str
    parameters: Any
    description: str | None = None
    strict: bool | None = None


class UserLocation(Struct):
    """Where the user is."""

    type: str
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchTool(Struct, tag="web_search"):
    """Search of the web. It is accepted and not run."""

    allowed_domains: list[str] | None = None
    excluded_domains: list[str] | None = None
    filters: dict[str, Any] | None = None
    user_location: UserLocation | None = None
    enable_image_understanding: bool | None = None
    enable_image_search: bool | None = None
    external_web_access: bool | None = None
    search_context_size: str | None = None


class XSearchTool(Struct, tag="x_search"):
    """Search of X. It is accepted and not run."""

    allowed_x_handles: list[str] | None = None
    excluded_x_handles: list[str] | None = None
    from_date: str | None = None
    to_date: str | None = None
    enable_image_understanding: bool | None = None
    enable_video_understanding: bool | None = None


class ImageGenerationTool(Struct, tag="image_generation"):
    """Generation of images. It is accepted and not run."""

    action: str | None = None


class _SearchOfCollections(Struct):
    vector_store_ids: list[str]
    max_num_results: Int32 | None = None
    filters: Any = None
    ranking_options: Any = None


class CollectionsSearchTool(_SearchOfCollections, tag="collections_search"):
    """Search of collections, by another name."""


class FileSearchTool(_SearchOfCollections, tag="file_search"):
    """Search of collections, whose ids are the `vector_store_ids`."""


class CodeExecutionTool(Struct, tag="code_execution"):
    """Execution of code, by another name."""

    container: Any = None


class CodeInterpreterTool(Struct, tag="code_interpreter"):
    """Execution of code. It is accepted and not run."""

    container: Any = None


class McpTool(Struct, tag="mcp"):
    """The tools of a server. It is accepted, and no server is called."""

    server_label: str
    server_url: str
    server_description: str | None = None
    allowed_tools: list[str] | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    require_approval: Any = None
    connector_id: str | None = None


class ShellTool(Struct, tag="shell"):
    """Commands of a shell. It is accepted and not run."""


class ToolSearchTool(Struct, tag="tool_search"):
    """Search of tools. It is accepted and not run."""


ModelTool = Annotated[
    FunctionTool
    | WebSearchTool
    | XSearchTool
    | ImageGenerationTool
    | CollectionsSearchTool
    | FileSearchTool
    | CodeExecutionTool
    | CodeInterpreterTool
    | McpTool
    | ShellTool
    | ToolSearchTool,
    Meta(title="ModelTool"),
]


def is_tool_choice(value: Any) -> bool:
    """Return whether a value is a tool choice: a word, or a function by its name."""
    if isinstance(value, dict):
        return value.get("type") == "function" and isinstance(value.get("name"), str)
    return isinstance(value, str)
