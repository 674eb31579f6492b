"""The seed file: the initial state of every new team, also after a reset.

It is a snapshot, or a YAML or JSON file whose parts have the schemas of the REST API. The parts of a YAML or JSON file
are sent to the REST transport for a staging team, which is then saved as a snapshot. So the file is validated by the
rules of the API, and a new team only has to restore a snapshot.
"""

from __future__ import annotations

import base64
import importlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from emulator.core.clock import Clock, from_datetime
from emulator.core.validation_errors import explain
from emulator.domain.api_keys import ALL_ACLS, MADE_PREFIX, ending_of, hash_of
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, MANAGEMENT_KEY, AuthMode
from emulator.runtime.start_errors import BadSeed
from emulator.state.services import Services
from emulator.state.settings import GUARDED, BadSetting, parse
from emulator.state.teams import Team
from emulator.store.snapshots.files import BadSnapshot

VERSION = 1
SNAPSHOT_HEAD = b"SQLite format 3\0"
CALLS_PER_LINE = 1_000  # between two progress messages for a large file
_STAGING_TEAM = ".seed"  # the team that is filled, saved and deleted; no key can select it
_BOUNDARY = b"xai-emulator-seed-boundary"

App = Callable[[Any, Any, Any], Awaitable[None]]


class SeedFile(Struct, forbid_unknown_fields=True):
    """A file. Give exactly one of `content`, `base64` and `path`."""

    filename: Annotated[str, Meta(description="Its name; documents and batches refer to it.")]
    content: Annotated[str, Meta(description="The content as text, stored in UTF-8.")] | None = None
    base64: Annotated[str, Meta(description="The content in base64.")] | None = None
    path: Annotated[str, Meta(description="A file with the content, relative to the seed file.")] | None = None
    content_type: Annotated[str, Meta(description="By default that of the filename extension.")] | None = None
    expires_after: Annotated[int, Meta(description="Seconds; by default the file does not expire.")] | None = None
    public_url: Annotated[bool, Meta(description="Whether the file has a public URL.")] = False


class SeedDocument(Struct, forbid_unknown_fields=True):
    """A file in a collection."""

    file: Annotated[str, Meta(description="The `filename` of one of the files.")]
    fields: Annotated[dict[str, str], Meta(description="Metadata by field name.")] = {}


class SeedKey(Struct, forbid_unknown_fields=True, rename="camel"):
    """An API key of a team. Everything but `secret` is as in `POST /auth/teams/{teamId}/api-keys`."""

    secret: Annotated[
        str,
        Meta(
            pattern=f"^{MADE_PREFIX}[A-Za-z0-9_-]+$",
            description="The key: `xai-emulator-` and a word. Clients of another team than `default` add `@TEAM`.",
        ),
    ]
    name: Annotated[str, Meta(description="By default the secret without its beginning.")] = ""
    acls: Annotated[tuple[str, ...], Meta(description="What the key may use; by default everything.")] = ALL_ACLS
    qps: Annotated[int, Meta(description="Calls in a second.")] | None = None
    qpm: Annotated[int, Meta(description="Calls in a minute.")] | None = None
    tpm: Annotated[int, Meta(description="Tokens of models in a minute.")] | None = None
    expire_time: Annotated[str, Meta(description="RFC 3339; by default the key does not expire.")] | None = None


class SeedClock(Struct, forbid_unknown_fields=True):
    """The initial time of a team."""

    at: Annotated[datetime, Meta(description="RFC 3339; UTC where no offset is given.")]
    frozen: Annotated[bool, Meta(description="Whether the clock stands still until you move it.")] = True


class SeedTeam(Struct, forbid_unknown_fields=True):
    """The initial state of a team."""

    settings: Annotated[
        dict[str, Any], Meta(description="Settings that a team can override: `limits: {file_bytes_max: 1024}`.")
    ] = {}
    clock: Annotated[SeedClock, Meta(description="By default the wall clock.")] | None = None
    files: Annotated[list[SeedFile], Meta(description="Uploaded in this order.")] = []
    collections: Annotated[
        list[dict[str, Any]],
        Meta(description="Each the body of `POST /v1/collections`, and `documents`, a list of SeedDocument."),
    ] = []
    batches: Annotated[
        list[dict[str, Any]],
        Meta(
            description="Each the body of `POST /v1/batches`, and `requests`, a list of batch requests, or "
            "`input_file`, the `filename` of a JSONL file."
        ),
    ] = []
    api_keys: Annotated[list[SeedKey], Meta(description="API keys, as the management API makes them.")] = []


class SeedRoot(SeedTeam, forbid_unknown_fields=True, kw_only=True):
    """The file: the initial state of every team, and what differs for some of them."""

    xai_emulator_seed: Annotated[int, Meta(description="The version of this format: 1.")]
    keys: Annotated[dict[str, str], Meta(description="Known keys, `KEY: PLANE[:PERMISSION,…]`, as for `--key`.")] = {}
    teams: Annotated[
        dict[str, SeedTeam], Meta(description="Teams, by name, that have this initial state instead.")
    ] = {}


class Seed:
    """Applies a seed file to new teams."""

    def __init__(self, services: Services, app: App, path: Path) -> None:
        self._services, self._app, self._path = services, app, path
        self._snapshots: dict[str | None, Path] = {}  # by team; None is for all others
        self._settings: dict[str | None, dict[str, Any]] = {}

    async def prepare(self) -> None:
        """Read the file, so that every new team begins with it. Raises BadSeed."""
        try:
            with self._path.open("rb") as file:
                head = file.read(len(SNAPSHOT_HEAD))
        except OSError as error:
            raise BadSeed(f"{self._path}: {error.strerror}") from None
        if head == SNAPSHOT_HEAD:
            self._snapshots[None] = self._path
        else:
            await self._load(_read(self._path))
        self._services.teams.begin_with(self.fill)
        try:
            self._services.teams.get(DEFAULT_TEAM)  # so that an invalid snapshot fails the start
        except BadSnapshot as error:
            raise BadSeed(f"{self._path}: {error}") from None

    def fill(self, team: Team) -> None:
        """Restore the objects of the seed into a new team."""
        part = team.name if team.name in self._snapshots else None
        if part in self._snapshots:
            # Many teams are restored from one part of a file, again after each restart, and a public URL belongs to one
            # team.
            is_from_seed = part in self._settings
            self._services.teams.restore(
                team, self._services.store.snapshots.open(self._snapshots[part]), own_urls=is_from_seed
            )
            self._services.teams.configure(team, self._settings.get(part, {}), trusted=True)

    async def _load(self, root: SeedRoot) -> None:
        """Fill a staging team for each part of the file, and save it as a snapshot."""
        self._give_keys(root.keys)
        mode, self._services.auth_mode = self._services.auth_mode, AuthMode.OPEN  # no client can call yet
        try:
            self._snapshots[None], self._settings[None] = await self._fill(root, ""), root.settings
            for name, part in root.teams.items():
                self._snapshots[name], self._settings[name] = await self._fill(part, f"teams.{name}."), part.settings
        finally:
            self._services.auth_mode = mode

    def _give_keys(self, keys: Mapping[str, str]) -> None:
        try:
            given = [parse("keys", f"{secret}={rest}", "keys") for secret, rest in keys.items()]
        except BadSetting as error:
            raise BadSeed(f"{self._path}: {error}") from None
        if given and not self._services.settings.keys:
            self._services.keys.clear()  # given keys would replace the default ones
        self._services.keys.update({key.secret: key for key in given})

    async def _fill(self, part: SeedTeam, where: str) -> Path:
        """Create the objects of a part of the file in a staging team; return its snapshot."""
        services = self._services
        if services.store.teams.exists(_STAGING_TEAM):  # left by a process that died
            services.teams.delete(services.teams.get(_STAGING_TEAM))
        team = services.teams.get(_STAGING_TEAM)
        try:
            services.teams.configure(team, part.settings, trusted=True)
            team.indexing = "instant"  # while the file is loaded; afterwards the team's own setting applies
            try:
                services.teams.change_clock(team, lambda clock: _set(clock, part.clock))
            except ValueError as error:
                raise BadSeed(f"{self._path}: {where}clock: {error}") from None
            await SeedLoader(self._app, self._path, where, services.log, partial(self._set_secret, team)).load(part)
            services.store.audit.clear(team.name)  # a new team has no audit events
            snapshots = services.store.snapshots
            path = snapshots.kept.new_part()
            snapshots.save(team.name, path, team.clock.now(), without=GUARDED).finish()
        except BadSetting as error:
            raise BadSeed(f"{self._path}: {where}settings: {error}") from None
        finally:
            services.teams.delete(team)
        return path

    def _set_secret(self, team: Team, id: str, secret: str) -> None:
        """Replace the secret of a new API key by the one in the file."""
        keys = self._services.store.api_keys
        key = keys.get(team.name, id)
        assert key is not None
        keys.update(team.name, msgspec.structs.replace(key, hash=hash_of(secret), ending=ending_of(secret)))


def _set(clock: Clock, wanted: SeedClock | None) -> None:
    """Set a clock to a time, if any, and freeze it if wanted. Raises ValueError."""
    if wanted is None:
        return
    clock.freeze(from_datetime(wanted.at if wanted.at.tzinfo else wanted.at.replace(tzinfo=UTC)))
    if not wanted.frozen:
        clock.resume()


def _read(path: Path) -> SeedRoot:
    """Read and validate the file. Raises BadSeed."""
    try:
        value = msgspec.json.decode(path.read_bytes()) if path.suffix == ".json" else _yaml(path)
        root = msgspec.convert(value, SeedRoot)
    except msgspec.ValidationError as error:
        raise BadSeed(f"{path}: {explain(error)}") from None
    except (ValueError, OSError, RecursionError) as error:
        raise BadSeed(f"{path}: this is neither a snapshot nor YAML or JSON ({error})") from None
    if root.xai_emulator_seed != VERSION:
        raise BadSeed(f"{path}: this xai-emulator reads xai_emulator_seed {VERSION}, not {root.xai_emulator_seed}")
    return root


def _yaml(path: Path) -> Any:
    yaml: Any = importlib.import_module("yaml")  # imported only for a YAML file
    try:
        return yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


class SeedLoader:
    """Sends the parts of a seed file to the REST transport."""

    def __init__(
        self, app: App, path: Path, where: str, log: Callable[[str], None], set_secret: Callable[[str, str], None]
    ) -> None:
        """`set_secret` takes the id of a key and its secret."""
        self._app, self._path, self._where, self._log, self._set_secret = app, path, where, log, set_secret
        self._calls = 0
        self._files: dict[str, str] = {}  # ids by filename

    async def load(self, part: SeedTeam) -> None:
        """Send everything. Raises BadSeed at the first refusal."""
        for index, file in enumerate(part.files):
            await self._file(file, f"files[{index}]")
        for index, body in enumerate(part.collections):
            await self._collection(dict(body), f"collections[{index}]")
        for index, body in enumerate(part.batches):
            await self._batch(dict(body), f"batches[{index}]")
        for index, key in enumerate(part.api_keys):
            await self._key(key, f"api_keys[{index}]")

    async def _file(self, file: SeedFile, where: str) -> None:
        fields = {} if file.expires_after is None else {"expires_after": str(file.expires_after)}
        try:
            form = _form(fields, file, self._content(file, where))
        except UnicodeEncodeError:
            raise self._bad(where, "this is not valid Unicode") from None
        content_type = f"multipart/form-data; boundary={_BOUNDARY.decode()}"
        stored = await self._post("/v1/files", form, where, content_type=content_type)
        self._files[file.filename] = stored["id"]
        if file.public_url:
            await self._post(f"/v1/files/{stored['id']}/public-url", b"", where)

    def _content(self, file: SeedFile, where: str) -> bytes:
        given = [each for each in (file.content, file.base64, file.path) if each is not None]
        if len(given) != 1:
            raise self._bad(where, "give exactly one of content, base64 and path")
        if any(character in file.filename for character in '"\r\n'):
            raise self._bad(where, "a filename holds no quotes and no line breaks")
        if file.content is not None:
            return file.content.encode()
        try:
            if file.base64 is not None:
                return base64.b64decode(file.base64, validate=True)
            return (self._path.parent / (file.path or "")).read_bytes()
        except OSError as error:
            raise self._bad(where, f"{error.filename}: {error.strerror}") from None
        except ValueError:  # a path that contains NUL
            raise self._bad(where, f"{'path' if file.base64 is None else 'base64'} is not valid") from None

    async def _collection(self, body: dict[str, Any], where: str) -> None:
        try:
            documents = msgspec.convert(body.pop("documents", []), list[SeedDocument])
        except msgspec.ValidationError as error:
            raise self._bad(f"{where}.documents", explain(error)) from None
        made = await self._post("/v1/collections", self._json(body, where), where)
        for index, document in enumerate(documents):
            path = f"/v1/collections/{made['collection_id']}/documents/{self._id(document.file, where)}"
            at = f"{where}.documents[{index}]"
            await self._post(path, self._json({"fields": document.fields}, at), at)

    async def _batch(self, body: dict[str, Any], where: str) -> None:
        requests = body.pop("requests", None)
        if "input_file" in body:
            body["input_file_id"] = self._id(str(body.pop("input_file")), where)
        made = await self._post("/v1/batches", self._json(body, where), where)
        if requests is not None:
            path = f"/v1/batches/{made['batch_id']}/requests"
            await self._post(path, self._json({"batch_requests": requests}, where), f"{where}.requests")

    async def _key(self, key: SeedKey, where: str) -> None:
        body = {name: value for name, value in msgspec.to_builtins(key).items() if name != "secret"}
        body["name"] = key.name or key.secret.removeprefix(MADE_PREFIX)
        made = await self._post(f"/auth/teams/{_STAGING_TEAM}/api-keys", self._json(body, where), where)
        self._set_secret(made["apiKeyId"], key.secret)

    def _json(self, body: Any, where: str) -> bytes:
        """Encode a body. Raises BadSeed for values that only YAML has: cycles, lone surrogates, infinite numbers."""
        try:
            return msgspec.json.encode(body)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self._bad(where, f"this is no JSON ({error})") from None

    def _id(self, filename: str, where: str) -> str:
        if filename not in self._files:
            raise self._bad(where, f"no file above is called {filename!r}")
        return self._files[filename]

    async def _post(self, path: str, body: bytes, where: str, content_type: str = "application/json") -> Any:
        key = MANAGEMENT_KEY if path.startswith(("/v1/collections", "/auth/")) else INFERENCE_KEY
        status, reply = await _post(self._app, path, body, f"{key}@{_STAGING_TEAM}", content_type)
        if status != 200:
            raise self._bad(where, f"{status} {reply.decode('utf-8', 'replace')}")
        self._calls += 1
        if self._calls % CALLS_PER_LINE == 0:
            self._log(f"{self._path}: {self._calls} calls, now at {self._where}{where}")
        return msgspec.json.decode(reply)

    def _bad(self, where: str, why: str) -> BadSeed:
        return BadSeed(f"{self._path}: {self._where}{where}: {why}")


def _form(fields: Mapping[str, str], file: SeedFile, content: bytes) -> bytes:
    """Encode a form with the file as its last part, as the API requires."""
    parts = [f'form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    head = f'form-data; name="file"; filename="{file.filename}"'
    if file.content_type is not None:
        head += f"\r\ncontent-type: {file.content_type}"
    parts.append(head.encode() + b"\r\n\r\n" + content)
    return b"".join(b"--%b\r\ncontent-disposition: %b\r\n" % (_BOUNDARY, part) for part in parts) + (
        b"--%b--\r\n" % _BOUNDARY
    )


async def _post(app: App, path: str, body: bytes, key: str, content_type: str) -> tuple[int, bytes]:
    """Call an ASGI application."""
    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {key}".encode()), (b"content-type", content_type.encode("latin-1"))],
    }
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])
