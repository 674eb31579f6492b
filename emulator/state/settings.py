"""The settings of an emulator. Flags, environment variables and keywords are derived from one row for each setting."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from emulator.core.limits import parse_value
from emulator.core.profiles import PROFILES
from emulator.core.redaction import REDACTED, redact_url
from emulator.domain import chaos
from emulator.domain.chaos import ChaosConfig, ChaosFlag
from emulator.domain.keys import AuthMode, Key, Plane

SPEEDS = ("instant", "realistic", "manual")
ENVIRONMENT_PREFIX = "XAI_EMULATOR_"
# What `xai-emulator env` sets for clients. They are not settings: an emulator ignores them.
CLIENT_NAMES = ("XAI_EMULATOR_URL", "XAI_EMULATOR_GRPC")


class BadSetting(ValueError):
    """A setting that cannot be used; the message is one clear line."""


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise BadSetting(f"{text!r} is not one of {', '.join(words)}")
        return text

    return parse


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or int(text) > 65535:
        raise BadSetting(f"{text!r} is not a port number from 0 to 65535")
    return int(text)


def _non_empty(text: str) -> str:
    if not text:
        raise BadSetting("it is empty")
    return text


def _path(text: str) -> Path:
    return Path(_non_empty(text))  # an empty path would be the working directory


def _url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
    except ValueError:  # an incomplete IPv6 address
        parts = urlsplit("")
    odd = parts.query or parts.fragment or any(character.isspace() for character in text)
    if parts.scheme not in ("http", "https") or not parts.netloc or odd:
        raise BadSetting(f"{text!r} is not a URL such as http://localhost:7878")
    return text.rstrip("/")


def _limit(text: str) -> tuple[str, int | None]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadSetting(f"{text!r} is not NAME=VALUE")
    try:
        return name, parse_value(name, value)
    except ValueError as error:
        raise BadSetting(str(error)) from None


def _key(text: str) -> Key:
    secret, equals, rest = text.rpartition("=")
    plane, colon, permissions = rest.partition(":")
    if not equals or not secret or plane not in ("inference", "management"):
        raise BadSetting("a key is given as KEY=inference or KEY=management[:PERMISSION,…]")
    return Key(secret, Plane(plane), frozenset(filter(None, permissions.split(","))) if colon else None)


def _chaos(text: str) -> ChaosConfig | None:
    try:
        return chaos.parse(text)
    except ValueError as error:
        raise BadSetting(str(error)) from None


def _responder(text: str) -> str:
    kind, _, rest = text.partition(":")
    if text != "echo" and (kind not in ("canned", "call", "http", "https") or not rest):
        raise BadSetting(f"{redact_url(text)!r} is not echo, canned:FILE, call:MODULE:FUNCTION or http:URL")
    return text


def _host_name(text: str) -> str:
    name = text.lower().removesuffix(".")
    if not re.fullmatch(r"\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*", name) and not re.fullmatch(r"[0-9a-f:.]*:[0-9a-f:.]*", name):
        raise BadSetting(f"{text!r} is not a host such as devbox.lan, or .devbox.lan for all names below it")
    return name


def _token(text: str) -> str:
    if not re.fullmatch(r"[!-~]+", text):  # the message does not quote it: it is a secret
        raise BadSetting("a token is one word of visible ASCII characters")
    return text


class Allowed(msgspec.Struct, frozen=True):
    """A value given with `--allow SETTING=VALUE`: the control plane may choose it for a team."""

    setting: str
    value: str

    def __str__(self) -> str:
        return f"{self.setting}={redact_url(self.value)}"

    __repr__ = __str__


def _allowed(text: str) -> Allowed:
    name, equals, value = text.partition("=")
    if not equals or name not in GUARDED:
        raise BadSetting(f"{redact_url(text)!r} is not {' or '.join(f'{name}=VALUE' for name in GUARDED)}")
    return Allowed(name, ROWS[name].parse(value))


class Row(msgspec.Struct, frozen=True):
    """One setting: how to parse it from text, and its help."""

    default: Any
    parse: Callable[[str], Any]
    metavar: str
    help: str
    repeat: bool  # the flag may be repeated
    per_team: bool
    # For a setting that names code, files or servers: the built-in values, which name none of these. The control API
    # may choose them and the values that were given at the start. Only the command line, the environment, the seed file
    # and Python may set any other value. Empty for a setting that any caller may set.
    built_in: tuple[str, ...]


_rows: list[Row] = []  # of the fields below, in order


def _setting(
    default: Any,
    parse: Callable[[str], Any],
    metavar: str,
    help: str,
    *,
    repeat: bool = False,
    per_team: bool = False,
    built_in: tuple[str, ...] = (),
) -> Any:
    _rows.append(Row(default, parse, metavar, help, repeat, per_team, built_in))
    return default


class Settings(msgspec.Struct, frozen=True):
    """The settings of an emulator. Those marked `per_team` are defaults of new teams; the others are global."""

    host: str = _setting("localhost", _non_empty, "HOST", "address to listen on; localhost means 127.0.0.1 and ::1")
    port: int = _setting(7878, _port, "PORT", "port for REST and gRPC; 0 picks a free one")
    tls: str | None = _setting(
        None,
        _one_of("self-signed"),
        "KIND",
        "also serve TLS, on a separate port: self-signed creates a certificate authority, stored in the data "
        "directory (see `xai-emulator trust`)",
    )
    tls_port: int = _setting(7879, _port, "PORT", "port for REST and gRPC over TLS; 0 picks a free one")
    tls_cert: Path | None = _setting(
        None, _path, "FILE", "certificate for TLS, in PEM, followed by its intermediate certificates"
    )
    tls_key: Path | None = _setting(None, _path, "FILE", "key of that certificate, if it is in another file")
    client_ca: Path | None = _setting(
        None, _path, "FILE", "certificate authorities, in PEM: clients on the TLS port must have a certificate of one"
    )
    data_dir: Path | None = _setting(None, _path, "DIR", "keep state in DIR; without it state is in memory")
    seed: Path | None = _setting(None, _path, "FILE", "initial state of new teams: YAML, JSON or a snapshot")
    limits: Mapping[str, int | None] = _setting(
        {},
        _limit,
        "NAME=VALUE",
        "override a limit, for example file_bytes_max=512MiB; may be repeated",
        repeat=True,
        per_team=True,
    )
    profile: str = _setting("documented", _one_of(*PROFILES), "NAME", "documented, strict or relaxed", per_team=True)
    chaos: ChaosConfig | None = _setting(
        None,
        _chaos,
        "SEED[:FLAG,…]",
        "test clients with behaviours they may not expect: without flags "
        f"{', '.join(flag.word for flag in ChaosFlag if flag in chaos.DEFAULT_FLAGS)}; only where named "
        f"{', '.join(flag.word for flag in ChaosFlag if flag in chaos.OBSERVED)}; "
        "the same seed repeats the same behaviours",
        per_team=True,
    )
    auth: str = _setting("shape", _one_of(*(m.value for m in AuthMode)), "MODE", "shape, strict or open")
    keys: tuple[Key, ...] = _setting(
        (), _key, "KEY=PLANE[:PERMISSION,…]", "accept this key; may be repeated", repeat=True
    )
    indexing: str = _setting(
        "instant", _one_of(*SPEEDS), "SPEED", "how fast documents are indexed: " + ", ".join(SPEEDS), per_team=True
    )
    batches: str = _setting(
        "instant", _one_of(*SPEEDS), "SPEED", "how fast batches are processed: " + ", ".join(SPEEDS), per_team=True
    )
    responder: str | Callable[..., Any] = _setting(
        "echo",
        _responder,
        "RESPONDER",
        "responder for model requests, live and in batches: echo, canned:FILE, call:MODULE:FUNCTION or http:URL (in "
        "Python a function, too)",
        per_team=True,
        built_in=("echo",),
    )
    models: str = _setting(
        "known",
        _one_of("known", "any"),
        "WHICH",
        "which models are accepted: known (of GET /v1/models, with aliases and retired names) or any name, which "
        "is answered and priced as the default model of its kind",
        per_team=True,
    )
    embedder: str | Callable[..., Any] = _setting(
        "stand-in",
        _non_empty,
        "EMBEDDER",
        "source of search vectors: stand-in, MODULE:FUNCTION or the URL of an /embeddings path as OpenAI's",
        per_team=True,
        built_in=("stand-in",),
    )
    allow: tuple[Allowed, ...] = _setting(
        (),
        _allowed,
        "SETTING=VALUE",
        "let the control API choose this embedder or responder for a team, for example responder=canned:answers.jsonl; "
        "may be repeated",
        repeat=True,
    )
    control_token: str | None = _setting(
        None,
        _token,
        "TOKEN",
        "token that calls of the control API and its console must send; generated and printed if --host allows "
        "other machines and none is given",
    )
    allow_hosts: tuple[str, ...] = _setting(
        (),
        _host_name,
        "NAME",
        "answer to this host name too, or to all names below it if it begins with a dot; may be repeated",
        repeat=True,
    )
    cors: str = _setting(
        "loopback",
        _one_of("off", "loopback", "any"),
        "PAGES",
        "which web pages may call /v1: off, loopback (those served by this machine) or any, as the real service does",
    )
    public_url: str | None = _setting(None, _url, "URL", "base of the URLs in responses of the emulator")
    random_seed: str | None = _setting(None, _non_empty, "N", "seed of all ids: the same seed gives the same ids")
    log: str = _setting(
        "messages",
        _one_of("quiet", "messages", "requests"),
        "WHAT",
        "what to print on stderr: quiet (only problems), messages, or requests (one line each, too)",
    )
    log_format: str = _setting("text", _one_of("text", "json"), "FORMAT", "text or json, on stderr")

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={shown(name, getattr(self, name))!r}' for name in ROWS)})"


ROWS: dict[str, Row] = dict(zip(Settings.__struct_fields__, _rows, strict=True))
PER_TEAM: tuple[str, ...] = tuple(name for name, row in ROWS.items() if row.per_team)
# Settings that name code, files or servers. Snapshots do not contain them, because a snapshot may come from another
# machine; the control API may only choose among known values; and they are shown redacted, because a URL may contain a
# key.
GUARDED: tuple[str, ...] = tuple(name for name, row in ROWS.items() if row.built_in)


def shown(name: str, value: Any) -> Any:
    """Return the value of a setting for display: without keys, tokens, and the parts of a URL that may have a key."""
    if not isinstance(value, str):
        return value
    if name in ("control_token", "keys"):
        return REDACTED
    return redact_url(value) if name in (*GUARDED, "allow") else value


def shown_all(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name, for display."""
    return {name: shown(name, value) for name, value in values.items()}


def flag(name: str) -> str:
    """Return the command-line flag of a setting; repeatable ones are in the singular."""
    word = name.removesuffix("s") if ROWS[name].repeat else name
    return "--" + word.replace("_", "-")


def environment_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + flag(name).removeprefix("--").replace("-", "_").upper()


def parse(name: str, text: str, source: str) -> Any:
    """Parse one value; for a repeatable setting one of its values. Raises BadSetting, which names `source`."""
    read = ROWS[name].parse
    try:
        if read is not _path:  # a path may be any bytes
            text.encode()
        return read(text)
    except UnicodeEncodeError:
        raise BadSetting(f"{source}: {shown(name, text)!r} is not valid UTF-8") from None
    except BadSetting as error:
        raise BadSetting(f"{source}: {error}") from None


def collect(name: str, values: list[Any]) -> Any:
    """Return the value of a repeatable setting from its parsed values."""
    return dict(values) if name == "limits" else tuple(values)


def from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the environment. Raises BadSetting for an unknown XAI_EMULATOR_ name."""
    names = {environment_name(name): name for name in ROWS}
    settings: dict[str, Any] = {}
    given = {variable for variable in environment if variable.startswith(ENVIRONMENT_PREFIX)}
    for variable in sorted(given.difference(CLIENT_NAMES)):
        if variable not in names:
            raise BadSetting(f"{variable}: there is no such setting; known are {', '.join(sorted(names))}")
        name, text = names[variable], environment[variable]
        if ROWS[name].repeat:
            settings[name] = collect(name, [parse(name, item, variable) for item in text.split()])
        else:
            settings[name] = parse(name, text, variable)
    return settings


def from_keywords(keywords: Mapping[str, Any]) -> Settings:
    """Return settings from Python keywords, checked as on the command line. Raises BadSetting."""
    return Settings(**_parsed(keywords, ROWS))


def of_team(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings of one team: the server's with the team's overrides. Raises BadSetting."""
    if not overrides:
        return settings
    values = _parsed(overrides, PER_TEAM)
    if "limits" in values:
        values["limits"] = {**settings.limits, **values["limits"]}
    return msgspec.structs.replace(settings, **values)


def _parsed(keywords: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    unknown = sorted(set(keywords) - set(known))
    if unknown:
        raise BadSetting(f"{unknown[0]}: there is no such setting; known are {', '.join(sorted(known))}")
    values: dict[str, Any] = {}
    for name, value in keywords.items():
        if value is None:  # the same as not given
            continue
        if name == "limits":
            if not isinstance(value, Mapping):
                raise BadSetting(f"limits: {str(value)[:40]!r} is not limits by their names")
            items = [f"{row}={'none' if number is None else number}" for row, number in dict(value).items()]
            values[name] = collect(name, [parse(name, item, name) for item in items])
        elif ROWS[name].repeat:
            values[name] = tuple(
                item if isinstance(item, Key | Allowed) else parse(name, str(item), name) for item in value
            )
        elif isinstance(value, Path) or callable(value):
            values[name] = value
        else:
            values[name] = parse(name, str(value), name)
    return values
