"""Compare recordings of the real service with a fresh emulator, and report where the two differ.

    python -m tools.recordings FILE-OR-DIRECTORY …

Of a directory every `*.har` and `*.json` is compared. A HAR file is one recording. A JSON file is a list of them, each
`{"name": …, "exchanges": [{"method", "url", "content_type", "body", "at", "status", "response_type", "response"}]}`.
Of an upload the content is not recorded: a file of the recorded size is sent, or what a later exchange downloads. Each
recording gets a team of its own. The comparison is that of `xai-emulator compare`, and headers count, too.

The exit code is 1 if there is a difference, or a recording of which nothing could be compared.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from emulator import Emulator
from emulator.comparing.differences import FAIL_ON
from emulator.comparing.report import Report, lines_of, report_of
from emulator.comparing.run import compare
from emulator.comparing.send import OTHER, Target
from emulator.domain.keys import Plane
from emulator.recordings import entries, har
from emulator.recordings.reading import read

Exchange = Mapping[str, Any]

REFUSED_KEY = 401
_DIRECT = build_opener(ProxyHandler({}))


def read_all(paths: Sequence[Path]) -> Iterator[tuple[str, har.Recording]]:
    """Yield the recordings of files and directories, with their names."""
    for path in paths:
        files = sorted(each for each in path.iterdir() if each.suffix in (".har", ".json")) if path.is_dir() else [path]
        for file in files:
            if file.suffix == ".har":
                yield file.name, read(file)
                continue
            for each in json.loads(file.read_text("utf-8")):
                yield each["name"], recording_of(each["exchanges"], file)


def recording_of(exchanges: Sequence[Exchange], path: Path) -> har.Recording:
    """Return exchanges as a recording; that its contents are left out is known of it, and not which keys were sent."""
    log = entries.Log(about=entries.About())
    return har.Recording(path, log, [_entry(exchange, exchanges[number:]) for number, exchange in enumerate(exchanges)])


def _entry(exchange: Exchange, later: Sequence[Exchange]) -> entries.Entry:
    headers = []
    if exchange["status"] == REFUSED_KEY:
        headers.append(entries.Pair("authorization", f"Bearer {OTHER}"))
    if exchange["content_type"] is not None:
        headers.append(entries.Pair("content-type", exchange["content_type"]))
    request = entries.Request(exchange["method"], exchange["url"], headers=headers)
    if exchange["body"] is not None:
        request.body = entries.PostData(exchange["content_type"] or "", exchange["body"])
    elif exchange["method"] == "POST" and urlsplit(exchange["url"]).path == "/v1/files":
        request.body = entries.PostData("multipart/form-data", params=[_file(json.loads(exchange["response"]), later)])
    response = entries.Response(exchange["status"], headers=[entries.Pair("content-type", exchange["response_type"])])
    response.body = entries.Content(len(exchange["response"]), exchange["response_type"], exchange["response"])
    return entries.Entry(request, response, exchange["at"])


def _file(recorded: Mapping[str, Any], later: Sequence[Exchange]) -> entries.Param:
    """Return the part of an upload: what a later exchange downloads of it, or as many bytes as it has."""
    param = entries.Param("file", filename=recorded["filename"], size=recorded["bytes"])
    path = f"/v1/files/{recorded['id']}/content"
    for exchange in later:
        if exchange["status"] == 200 and urlsplit(exchange["url"]).path == path:
            param.value = str(exchange["response"])
    return param


def compared(recording: har.Recording, emulator: Emulator, team: str) -> Report:
    """Compare a recording with a new team of an emulator."""
    body = json.dumps({"name": team}).encode()
    request = Request(f"{emulator.url}/_emulator/teams", body, {"content-type": "application/json"})
    _DIRECT.open(request).close()
    keys = {Plane.INFERENCE: f"{emulator.api_key}@{team}", Plane.MANAGEMENT: f"{emulator.management_key}@{team}"}
    target = Target(emulator.url, emulator.grpc_target, keys, team, emulator.control_token)
    return report_of(compare(recording, target), fail_on=(*FAIL_ON, "headers"))


def main(words: Sequence[str]) -> int:
    """Compare every recording; print the differences, and how much was compared."""
    exchanges = judged = differences = 0
    failed: list[str] = []
    with Emulator() as emulator:
        for number, (name, recording) in enumerate(read_all([Path(word) for word in words]), 1):
            report = compared(recording, emulator, f"recording-{number}")
            exchanges += len(report.comparison.outcomes)
            judged += report.compared
            differences += len(report.failing)
            if report.exit_code:
                failed.append(name)
                print(f"{name}:", *lines_of(report), sep="\n  ")
    print(f"{exchanges} exchanges replayed, {judged} of them judged, {differences} differences")
    return 1 if failed or not judged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
