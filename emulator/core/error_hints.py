"""Advice about refusals: a row for each rule in `x-emulator-rule` that is no limit.

The message of a refusal is that of the real service, if known, and gives no advice. So this table does.
"""

from __future__ import annotations

from emulator.core.limits import ROWS

RULES: dict[str, str] = {
    # Keys
    "key": "Send `Authorization: Bearer KEY` with the key of the plane: `xai-emulator` for files, search and batches, "
    "`xai-token-emulator` for collections. With --auth strict only the keys given with --key are known.",
    "permission": "Give the key the permission: --key KEY=PLANE:PERMISSION,…; a key without a list has them all.",
    "acls": "Add the entry to the key's ACLs with PUT /auth/api-keys/ID and the fieldMask acls; "
    "GET /auth/teams/TEAM/endpoints and …/models list the available ones.",
    "key_disabled": "Enable the key: PUT /auth/api-keys/ID with disabled false and the fieldMask disabled.",
    "key_rates": "Give a number of at least 1, or null for no limit.",
    "qps": "Wait as long as Retry-After says, or move the clock; or raise the rate of the key.",
    "qpm": "Wait as long as Retry-After says, or move the clock; or raise the rate of the key.",
    "tpm": "Wait as long as Retry-After says, or move the clock; or raise the rate of the key.",
    "expire_time": "Give a moment after the present one of the team's clock.",
    "time": "Give the time in ISO 8601 with its zone.",
    "field_mask": "Name fields of the key in camelCase, with commas between them.",
    "team_id": "Leave team_id out, or name the team of the key, as in GET /v1/me.",
    # Paths and bodies
    "host": "Call it by an address, localhost or a name without a dot, or start it with --allow-host NAME.",
    "unknown_route": "Compare the path with the OpenAPI document at /_emulator/openapi.json; "
    "GET /_emulator/requests/unmatched shows the nearest paths.",
    "unknown_method": "Compare the name with the services that reflection lists (`grpcurl -plaintext HOST:PORT list`).",
    "grpc_streams": "Read and write the streams that are open, or cancel them: each takes a slot until it ends.",
    "method": "The header Allow names the methods of this path.",
    "not_emulated": "This part of the API is left out; the sentence says why.",
    "path": "Percent-encode ids as UTF-8.",
    "query": "Compare the parameters with the OpenAPI document: names, types and values. A search needs some words.",
    "name": "Send the name of each part of the form in UTF-8.",
    "json": "Compare the body with the OpenAPI document; the sentence names the field, or the line and column.",
    "protobuf": "The message, or a value of it, is not of its type: compare the .proto files of client and service.",
    "content_type": "Send the content type that the path reads: the sentence names it.",
    "multipart": "Send a form with a boundary, each part once and in UTF-8, the last one complete.",
    "range": "Ask for bytes that lie within the content.",
    # Files
    "missing_file": "Send the content as a part named `file` that has a filename; to batch_upload at least one file.",
    "missing_data": "Send the content as a part named `data`.",
    "filename": "Use 1 to 255 characters, without control characters, quotes, semicolons and backslashes.",
    "expires_after": "Give seconds, or anchor and seconds as OpenAI does: within the limits expires_after_seconds_*.",
    "expires_after_order": "Put expires_after before file: the real service reads the form as it comes.",
    "format_text": "Ask for format=original: there is no text in this file.",
    "chunk": "Send chunks in base64, all of one call for one file.",
    "init_first": "Begin the stream of UploadFile with the init message.",
    "init_once": "Send init once, and only data after it.",
    "open_for_chunks": "Chunks go to a file that was initialized and is not complete.",
    "upload_status": "Upload the content first: a file that is not complete cannot be used.",
    "concurrent_change": "Another call changed the file meanwhile: read it again, and repeat what is still wanted.",
    "team_deleted": "Send it again if it is still wanted: a call with a key of the team creates it again.",
    "disk": "The emulator's disk is full or broken, or another program has locked its database: free space or end that "
    "program, and try again; or choose another --data-dir.",
    "descriptors": "Close connections that are idle, or raise the limit that `ulimit -n` shows.",
    "public_url_content_type": "Public URLs are for PNG, JPEG, MP4 and PDF; the type comes with the upload.",
    "public_url_empty_file": "Upload a file that is not empty.",
    "public_url_outlives_file": "Ask for no more seconds than the file still lives.",
    # Collections and documents
    "not-empty": "Give the field a value.",
    "one-of": "Give exactly one of the named strategies.",
    "chunk-configuration": "Give a size of 1 or more, and an overlap that is smaller.",
    "unknown-field": "Name a field that the collection defines, or define it first.",
    "undefined-field": "Define the key in field_definitions, or use a profile that takes any: documented, relaxed.",
    "required": "Give the field a value in every document, or define it as not required.",
    "unique": "Give the field a value, or the definition a key, that no other has.",
    "new-required-field": "Add the field as not required, or before the first document: existing ones lack a value.",
    # Lists, search
    "after": "Name an existing or recently deleted file, or an item of the list; or page with pagination_token.",
    "pagination_token": "Keep order, sort_by and filter while you page, and send the token as it came.",
    "filter": "The caret points at the spot. `xai-emulator filter EXPR` tries a filter without a request.",
    "collection_ids": "Name at least one collection in source.collection_ids.",
    "rrf": "Give k and the weights values of 0 or more.",
    "group_by": "Name at least one key, and keep at least one record of each group.",
    "embedder": "The --embedder failed: the sentence says how. Without one the stand-in needs nothing.",
    # Batches
    "batch_model": "Choose a model that batches take; all but a few are.",
    "batch_request_id": "Use another id, or send exactly what was sent under this one.",
    "file_based_batch": "A batch from a file is sealed: make one without input_file_id to add requests.",
    "closed_batch": "Make a new batch: this one is cancelled or has expired.",
    "timestamp": "Give a time that protobuf can hold.",
    # Models
    "model_not_found": "Name a model of GET /v1/models, or one of its aliases.",
    "model_parameter": "Leave the parameter out, or choose a model that supports it.",
    "live_search": "Use the tools of POST /v1/responses; collections and files are searched there.",
    "messages": "Send at least one message.",
    "content": "Give each message a text or parts of the types text, image_url and file.",
    "file_source": "Give the file part a file_id, file_data or url.",
    "tool_choice": "Send tools beside tool_choice, or leave it out.",
    "image_type": "Attach a JPEG, PNG or WebP as image, and any other file as file.",
    "choices": "Ask for one choice, or leave out the files and the tools that run on the server.",
    "max_tokens": "Give a bound above 0, or none.",
    "prompt_tokens": "Send a shorter conversation, or choose a model with a longer context.",
    "argument": "Leave the argument out: the real service refuses it.",
    "images": "Ask for 1 to 10 images in one request.",
    "video_seconds": "Ask for 1 to 15 seconds of video, or for an extension of 1 to 10.",
    "media_source": "Give each image and video once: by its url or by its file_id, in one member.",
    "media_type": "Give the id of a file of the type that the member asks for; the type comes with the upload.",
    "prompt": "Describe the video in the prompt, or give its first frame as image.",
    "call_id": "Give call_id the call_id of a function_call of the conversation, not its id.",
    "encrypted_content": "Send encrypted content to the team that returned it, and to the same emulator.",
    "no_rule": "Add a line to the file of canned answers, or leave out the one that makes it strict.",
    "canned": "A line of the file of canned answers refuses this request.",
    "responder": "The --responder failed or answered something else: the sentence says what.",
    # Anything
    "not_found": "It was deleted, has expired, belongs to another team (the suffix of the key), or never was. "
    "The team's clock decides what has expired: GET /_emulator/clock.",
    "defect": "The emulator failed. Please report it with the traceback from its log.",
}


def hint_for(rule: str) -> str | None:
    """Return the advice for a rule; None for an unknown rule."""
    if rule in ROWS:
        return f"{ROWS[rule].source}. To test with another value: --limit {rule}=…, or PUT /_emulator/limits."
    return RULES.get(rule)
