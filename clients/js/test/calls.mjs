// Calls that the tests of both runners share.
export async function upload(team, name, expiresAfter) {
  const form = new FormData();
  if (expiresAfter !== undefined) form.set("expires_after", String(expiresAfter)); // before the file
  form.set("file", new Blob(["from a test"]), name);
  const response = await fetch(`${team.baseURL}/files`, { method: "POST", headers: headers(team), body: form });
  return response.json();
}

export async function list(team) {
  const response = await fetch(`${team.baseURL}/files`, { headers: headers(team) });
  return { status: response.status, names: ((await response.json()).data ?? []).map((file) => file.filename) };
}

export async function ask(team, content) {
  const body = JSON.stringify({ model: "grok-4.3", messages: [{ role: "user", content }] });
  const asked = { method: "POST", headers: { ...headers(team), "content-type": "application/json" }, body };
  const response = await fetch(`${team.baseURL}/chat/completions`, asked);
  return (await response.json()).choices[0].message.content;
}

function headers(team) {
  return { authorization: `Bearer ${team.apiKey}` };
}
