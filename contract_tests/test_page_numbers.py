"""The pages of a PDF, as the matches of a search name them."""

from __future__ import annotations

import pytest

from .case import case
from .clients.rest import RestClient

pytestmark = pytest.mark.usefixtures("transport")


def pdf(*pages: str) -> bytes:
    """A PDF with one line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET"
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        place = f"/MediaBox [0 0 300 300] {font} /Contents {5 + 2 * number} 0 R"
        objects += [f"<< /Type /Page /Parent 2 0 R {place} >>"]
        objects += [f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"]
    body, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer << /Size {len(places) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(places) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()


@case(
    "search.page-numbers",
    *("documents.add", "documents.search", "files.content"),
    evidence="documented",
    source="documents.proto: SearchMatch.page_number; that pages count from 1, and texts have 0, is assumed",
)
def test_page_numbers(rest: RestClient, name: str) -> None:
    """A match in a PDF names the page that it begins on; one in a text has the page 0."""
    chunks = {"chars_configuration": {"max_chunk_size_chars": 22, "chunk_overlap_chars": 0}}
    body = {"collection_name": f"{name}notes", "chunk_configuration": chunks}
    collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
    file = rest.upload_file(
        pdf("The kettle is copper.", "The ferns are green.", "The stove is cold."), f"{name}a.pdf"
    ).id
    rest.add_document(collection, file)
    if rest.get_document(collection, file).status == "FAILED":
        pytest.skip("the server reads no PDF")
    search = {"source": {"collection_ids": [collection]}, "retrieval_mode": {"type": "keyword"}}
    for page, word in enumerate(("kettle", "ferns", "stove"), 1):
        [match] = rest.json("POST", "/v1/documents/search", json_body={**search, "query": word})["matches"]
        assert word in match["chunk_content"]
        assert match["page_number"] == page, word
    text = rest.upload_file(b"The harbour.", f"{name}b.txt").id
    rest.add_document(collection, text)
    [match] = rest.json("POST", "/v1/documents/search", json_body={**search, "query": "harbour"})["matches"]
    assert not match["page_number"]
    assert b"The ferns are green." in rest.call("GET", f"/v1/files/{file}/content", query={"format": "text"}).body
