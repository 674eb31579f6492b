// Addresses within the page: `#/files/file_1?filter=…`.

/** What an address after `#` names: its segments and its query. */
export function parse(hash) {
  const [path, ...query] = hash.replace(/^#\/?/, "").split("?");
  return { segments: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query.join("?")) };
}

function decode(segment) {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // a stray percent sign
  }
}

/** The address of these segments; a query of empty values is left out. */
export function address(segments, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const tail = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${segments.map(encodeURIComponent).join("/")}${tail}`;
}

/** Goes to an address; `quietly` leaves no trace in the history. */
export function go(target, { quietly = false } = {}) {
  if (target === location.hash) return;
  if (quietly) history.replaceState(null, "", target);
  else location.hash = target;
}
