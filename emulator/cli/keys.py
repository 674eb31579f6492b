"""The verb `keys`: list, create and delete API keys of a team of a running emulator."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from emulator.cli.client import add_target, manage
from emulator.cli.output import add_json, say_result

PAGE_ITEMS = 100


def add_verbs(verbs: Any) -> None:
    """Declare the verb and its actions."""
    parser = verbs.add_parser(
        "keys",
        help="list, create and delete API keys",
        examples=(
            "keys list",
            "keys create ci --acl api-key:endpoint:chat --acl 'api-key:model:*' --qpm 100",
            "keys delete 2c3c5b0e-7d1c-4a5e-9a55-0d1f4c1b1c11",
        ),
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the API keys of a team")
    create = actions.add_parser("create", help="create an API key; it is printed once")
    create.add_argument("name", metavar="NAME", help="name of the key")
    create.add_argument(
        "--acl", action="append", metavar="ACL", help="what the key may use; may be repeated; by default everything"
    )
    for name, what in (("qps", "calls in a second"), ("qpm", "calls in a minute"), ("tpm", "tokens in a minute")):
        create.add_argument(f"--{name}", type=int, metavar="N", help=f"at most N {what}")
    create.add_argument("--expires", metavar="TIME", help="RFC 3339; by default the key does not expire")
    delete = actions.add_parser("delete", help="delete an API key")
    delete.add_argument("id", metavar="ID", help="id of the key, as `keys list` shows it")
    for action, run in ((listing, _list), (create, _create), (delete, _delete)):
        add_target(action)
        action.add_argument(
            "--management-key", metavar="KEY", help="a management key, where `--key` names the known ones"
        )
        add_json(action)
        action.set_defaults(run=run)


def _keys(options: argparse.Namespace) -> str:
    return f"/auth/teams/{quote(options.team, safe='')}/api-keys"


def _list(options: argparse.Namespace) -> int:
    keys: list[dict[str, Any]] = []
    token = ""
    while True:
        page = manage(options, "GET", f"{_keys(options)}?pageSize={PAGE_ITEMS}&paginationToken={quote(token, safe='')}")
        keys += page["apiKeys"]
        token = page.get("paginationToken", "")
        if not token:
            break
    say_result(options, {"apiKeys": keys}, [_line(key) for key in keys] or ["there are no API keys yet"])
    return 0


def _line(key: dict[str, Any]) -> str:
    rates = [f"{name}={key[name]}" for name in ("qps", "qpm", "tpm") if name in key]
    expiry = [f"expires {key['expireTime']}"] if "expireTime" in key else []
    disabled = ["disabled"] if key["disabled"] else []
    words = [*key["acls"], *rates, *expiry, *disabled]
    return f"{key['apiKeyId']} {key['redactedApiKey']:12} {key['name']:20} {' '.join(words)}".rstrip()


def _create(options: argparse.Namespace) -> int:
    from emulator.domain.api_keys import ALL_ACLS

    rates = {name: getattr(options, name) for name in ("qps", "qpm", "tpm")}
    body = {"name": options.name, "acls": options.acl or ALL_ACLS, **rates, "expireTime": options.expires}
    key = manage(options, "POST", _keys(options), body)
    say_result(options, key, [_line(key), f"key: {key['apiKey']} (it is shown this once)"])
    return 0


def _delete(options: argparse.Namespace) -> int:
    deleted = manage(options, "DELETE", f"/auth/api-keys/{quote(options.id, safe='')}")
    say_result(options, deleted, [f"{options.id} deleted"])
    return 0
