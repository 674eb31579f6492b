// An answer as it comes: server-sent events of either endpoint as one kind of progress.

/** Reads the events of a response body; yields the JSON of each. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "))?.slice("data: ".length);
      if (data && data !== "[DONE]") yield JSON.parse(data);
    }
  }
}

/** A new answer, of which nothing has come yet. */
const begun = () => ({ text: "", reasoning: "", calls: [], citations: [], deltas: 0, finished: null, usage: null, error: null });

/** Reads an answer; `show(answer)` is called when more of it has come, at most once for each frame, and at its end. */
export async function readAnswer(endpoint, body, show) {
  const answer = begun();
  let frame = 0;
  const showSoon = () => (frame ||= requestAnimationFrame(() => {
    frame = 0;
    show(answer);
  }));
  const take = endpoint === "chat" ? takeChunk : takeEvent;
  try {
    for await (const event of events(body)) {
      take(answer, event);
      showSoon();
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    answer.error = "The connection ended before the answer did.";
  }
  if (answer.finished === null) answer.error ??= "The stream ended without its last event.";
  cancelAnimationFrame(frame);
  show(answer);
}

function takeChunk(answer, { choices, usage, citations, error }) {
  if (error) answer.error = error.message ?? String(error);
  for (const { delta, finish_reason: reason } of choices ?? []) {
    add(answer, "text", delta.content);
    add(answer, "reasoning", delta.reasoning_content);
    for (const call of delta.tool_calls ?? []) answer.calls.push({ name: call.function.name, args: call.function.arguments });
    answer.finished = reason ?? answer.finished;
  }
  if (usage) answer.usage = counted(usage.prompt_tokens, usage.completion_tokens, usage);
  if (citations) answer.citations = citations;
}

function takeEvent(answer, event) {
  switch (event.type) {
    case "response.output_text.delta":
      add(answer, "text", event.delta);
      break;
    case "response.reasoning_summary_text.delta":
      add(answer, "reasoning", event.delta);
      break;
    case "response.output_text.annotation.added":
      answer.citations = [...new Set([...answer.citations, event.annotation.url])];
      break;
    case "response.output_item.done":
      if (event.item.type === "function_call") answer.calls.push({ name: event.item.name, args: event.item.arguments });
      break;
    case "response.completed":
    case "response.incomplete":
    case "response.failed":
      finish(answer, event.response);
      break;
    case "error":
      answer.error = event.message;
      break;
    default: // an event that changes nothing that is shown
  }
}

function finish(answer, { status, usage, error, incomplete_details: details }) {
  answer.finished = details?.reason ?? status;
  if (error) answer.error = error.message;
  if (usage) answer.usage = counted(usage.input_tokens, usage.output_tokens, usage);
}

function add(answer, name, piece) {
  if (!piece) return;
  answer[name] += piece;
  answer.deltas += 1;
}

const counted = (read, written, { cost_in_usd_ticks: ticks }) => ({ read, written, ticks });
