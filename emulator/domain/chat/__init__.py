"""Chat: requests of model endpoints, their refusals, answers and costs. Pure functions.

A guide for every endpoint that answers with a model (REST chat, REST responses, gRPC, batches):

1. **Read.** A transport makes a `requests.ModelRequest`: the JSON of the REST endpoint, whichever transport it came
   through (`responses_body.from_responses` and `rpc/chat/messages.CHAT_REQUEST` make it from the other forms), and
   the `Endpoint`. The operation has a `screen` (`operations/chat/screening`) that refuses unknown models: the real
   service looks at the model before the key.
2. **Check.** The operation calls `rules.check`, or the functions of it that fit its endpoint. Every sentence of a
   refusal stands there once.
3. **Answer.** `operations/chat/answering.answer` searches (`operations/chat/retrieval.gather`: collections by the
   emulator's own search, attached files by their words), hands the matches to the team's responder as
   `request.evidence`, and fills in what the responder leaves out (`answers.answer_of`): ids, counts, cost, citations.
   Batches do the same in `jobs/batches/answers`, so one request has one text, one count and one cost everywhere.
4. **Stream.** `operations/chat/completions.stream_of(answer, finish=…)` gives an `operations.base.Stream` of
   `deltas.deltas_of`; planned faults cut and stall it (`pipeline/streams.wrap_stream`). `finish` runs before the last
   delta and not at all when the client leaves: what is to be stored, is stored there.
5. **Render.** `completions.completion_json` and `completions.ChunkWriter` write chat completions. A renderer reads an
   `answers.Answer` or its deltas, and holds no rule. `rest/chat.AsAnswer` shows how a route chooses between JSON and
   server-sent events.

- `models`: the one table of models, their aliases and prices, and what each of them accepts.
- `evidence`: `Search` and `Passage`, with the arguments and outputs of search tools as they show on the wire.
- `answers`: `Answer`, `Choice`, `Usage`, `Annotation`; counting and pricing. An `Answer` can be stored as msgspec JSON.
- `responders/echo.py`: the default policy. Deferred answers: `operations/chat/completions.start_deferred`.
"""
