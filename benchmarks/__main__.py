"""Measure, and print a table: `python -m benchmarks [--quick | --keep] [--only WORD]`.

Exits 1 where a goal is missed by far. `--keep` writes the table of a whole run into docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import batches, chat, filters, lifecycle, search, search_index, transports
from benchmarks.servers import ROOT
from benchmarks.table import Figure, Job, rows

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
QUICK_SLACK = 3.0  # the quick run guards against mistakes, not against a busy machine
FULL_SLACK = 1.15

JOBS = (
    Job("small-get", transports.small_get, quick=True),
    Job("upload", transports.large_upload, quick=True),
    Job("download", transports.large_download, quick=True),
    Job("grpc", transports.grpc_calls, quick=True),
    Job("chat", chat.completions, quick=True),
    Job("streams", chat.streams, quick=True),
    Job("beside-uploads", transports.beside_uploads, quick=True),
    Job("start", lifecycle.start, quick=True),
    Job("in-process", lifecycle.in_process, quick=True),
    Job("lists", lifecycle.list_pages, quick=True),
    Job("filters", filters.measure, quick=True),
    Job("search-index", search_index.measure, quick=True),
    Job("search", search.measure, quick=False),
    Job("batches", batches.measure, quick=False),
    Job("additions", batches.beside_addition, quick=True),
)


def main() -> int:
    """Run the jobs that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what takes seconds, with generous slack")
    parser.add_argument("--only", metavar="WORD", default="", help="only the jobs whose name holds WORD")
    parser.add_argument("--keep", action="store_true", help="write the table into docs/performance.md")
    options = parser.parse_args()
    slack = QUICK_SLACK if options.quick else FULL_SLACK
    figures: list[Figure] = []
    for job in JOBS:
        if options.only in job.name and (job.quick or not options.quick):
            print(f"measuring {job.name} …", file=sys.stderr)
            figures += job.measure()
    table = "\n".join(rows(figures, slack))
    print(table)
    if options.keep:
        page = ROOT / "docs" / "performance.md"
        head, begin, rest = page.read_text("utf-8").partition(BEGIN)
        page.write_text(f"{head}{begin}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")
    return 0 if all(figure.met(slack) for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
