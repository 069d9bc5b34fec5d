// Requests to the server. An ApiError has the sentence of the server's answer.

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(method, path, { json, body, query, signal } = {}) {
  const response = await send(method, path, { json, body, query, signal });
  return response.status === 204 ? null : response.json();
}

export async function download(path, query) {
  const response = await send("GET", path, { query });
  const named = /filename\*?=(?:utf-8'')?"?([^";]+)/i.exec(
    response.headers.get("content-disposition") ?? "",
  );
  return { blob: await response.blob(), name: decodeURIComponent(named?.[1] ?? "graph") };
}

// Call `take` with each line of a stream of JSON lines. A connection that is lost ends it: the
// caller knows which line is the last.
export async function stream(path, json, take) {
  const response = await send("POST", path, { json });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true }));
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) take(JSON.parse(line));
  }
}

async function send(method, path, { json, body, query, signal }) {
  const known = (Array.isArray(query) ? query : Object.entries(query ?? {})).filter(([, value]) => value !== null && value !== undefined);
  const search = known.length ? `?${new URLSearchParams(known)}` : "";
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = json === undefined ? body : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path + search, { method, headers, body: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer: check that it is running.");
  }
  if (response.ok) return response;
  const answer = await response.json().catch(() => null);
  throw new ApiError(response.status, answer?.error ?? `The server answered with status ${response.status}.`);
}
