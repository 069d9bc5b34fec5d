// Requests to the server. Errors carry the sentence that it answers with.

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

// Lines of JSON, given to `take` as they come.
export async function stream(path, json, take) {
  const response = await send("POST", path, { json });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) take(JSON.parse(line));
  }
}

async function send(method, path, { json, body, query, signal }) {
  const known = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined);
  const search = known.length ? `?${new URLSearchParams(known)}` : "";
  const headers = json === undefined ? {} : { "Content-Type": "application/json" };
  const sent = json === undefined ? body : JSON.stringify(json);
  let response;
  try {
    response = await fetch(path + search, { method, headers, body: sent, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The server does not answer: see whether it still runs.");
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new ApiError(response.status, told?.error ?? `The server answered ${response.status}.`);
}
