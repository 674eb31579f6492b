"""The paths of files, public URLs and keys."""

from __future__ import annotations

from emulator.operations.base import NoParameters
from emulator.operations.files.chunked_upload import CompleteBatchUpload
from emulator.operations.files.public_urls import ReadPublicUrl
from emulator.operations.files.read import FileId
from emulator.rest.requests import FromJson, FromPath, FromQuery, FromStream
from emulator.rest.responses import AsBytes, AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import files as shapes

_UPLOAD = FromStream(shapes.upload, "multipart/form-data", shapes.UPLOAD_FORM)
_UPDATE = FromStream(shapes.update, "multipart/form-data", shapes.UPLOAD_FORM, shapes.UpdateBody)
_FILE_ID = FromPath(lambda path: FileId(path["file_id"]))
_FILE = AsJson(shapes.FileJson, shapes.file_json)
_METADATA = AsJson(shapes.FileMetadataJson, shapes.metadata_json)
_UPLOADED = AsJson(shapes.FileJson, shapes.uploaded_json)
_CONTENT = AsBytes("application/octet-stream")
_FILES = AsJson(shapes.FilesJson, shapes.files_json)
_BATCH_UPLOAD = AsJson(shapes.BatchUploadJson, shapes.batch_upload_json)
_KEY = FromPath(lambda path: NoParameters())

ROUTES: tuple[Route, ...] = (
    # Files
    Route("POST", "/v1/files", "files.upload", _UPLOAD, _UPLOADED),
    Route("GET", "/v1/files", "files.list", FromQuery(shapes.FilesQuery, shapes.list_files), _FILES),
    Route("GET", "/v1/files/{file_id}", "files.get", _FILE_ID, _FILE),
    Route("PUT", "/v1/files/{file_id}", "files.update", _UPDATE, _FILE),
    Route("DELETE", "/v1/files/{file_id}", "files.delete", _FILE_ID, AsJson(shapes.DeletedJson, shapes.DeletedJson)),
    Route(
        "GET",
        "/v1/files/{file_id}/content",
        "files.content",
        FromQuery(shapes.ContentQuery, shapes.read_file),
        _CONTENT,
    ),
    Route("POST", "/v1/files:download", "files.content", FromJson(shapes.DownloadBody, shapes.download), _CONTENT),
    Route(
        "POST",
        "/v1/files:initialize",
        "files.initialize",
        FromJson(shapes.InitializeBody, shapes.initialize),
        _METADATA,
    ),
    Route(
        "POST",
        "/v1/files:uploadChunks",
        "files.upload_chunks",
        FromStream(shapes.upload_chunks, "application/json", shapes.CHUNK_SCHEMA),
        _METADATA,
    ),
    Route(
        "POST",
        "/v1/files/batch_upload",
        "files.batch_upload",
        FromJson(shapes.BatchUploadBody, shapes.batch_upload),
        _BATCH_UPLOAD,
    ),
    Route(
        "POST",
        "/v1/files/batch_upload/{batch_job_id}:complete",
        "files.complete_batch_upload",
        FromPath(lambda path: CompleteBatchUpload(path["batch_job_id"])),
        _BATCH_UPLOAD,
    ),
    Route(
        "POST",
        "/v1/files/{file_id}/public-url",
        "files.create_public_url",
        FromJson(shapes.PublicUrlBody, shapes.create_public_url, optional=True),
        AsJson(shapes.PublicUrlJson, shapes.public_url_json),
    ),
    Route(
        "POST",
        "/v1/files/{file_id}/public-url/revoke",
        "files.revoke_public_url",
        _FILE_ID,
        AsJson(shapes.RevokedJson, shapes.revoked_json),
    ),
    Route(
        "GET",
        "/_files-cdn/{token}/{name}",
        "files.public_content",
        FromPath(lambda path: ReadPublicUrl(path["token"], path["name"])),
        AsBytes(),
    ),
    # Keys
    Route("GET", "/v1/api-key", "auth.api_key", _KEY, AsJson(shapes.KeyJson, shapes.key_json)),
    Route("GET", "/v1/me", "auth.me", _KEY, AsJson(shapes.MeJson, shapes.me_json)),
)
