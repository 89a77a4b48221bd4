// HTTP/2 requests in the shape that handlers know. Node's own compatibility layer does most of it; what it leaves are
// names with a colon among the headers (which nobody could pass on over HTTP/1.1), the missing Host, warnings about headers
// that only HTTP/1.1 has, `response.destroyed`, and throws when a handler tunes the socket.
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";

/** About connections, not about what they carry. Source: RFC 9113, 8.2.2 */
const OF_A_CONNECTION = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

export function asHttp1(
  request: Http2ServerRequest | IncomingMessage,
  response: Http2ServerResponse | ServerResponse,
): [IncomingMessage, ServerResponse] {
  const seen: [IncomingMessage, ServerResponse] = [request as IncomingMessage, response as ServerResponse];
  if (request.httpVersionMajor < 2) return seen;
  const { headers } = request;
  const own = Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":")));
  // A copy: method and path are read from the original.
  Object.defineProperty(request, "headers", { value: { host: headers[":authority"], ...own } });
  const socket = tuned(request.socket);
  for (const side of [request, response]) Object.defineProperty(side, "socket", { value: socket });
  const { stream } = response as Http2ServerResponse;
  Object.defineProperty(response, "destroyed", { get: () => stream.destroyed });
  const writeHead = response.writeHead.bind(response) as (status: number, headers?: OutgoingHttpHeaders) => void;
  const setHeader = response.setHeader.bind(response) as (name: string, value: unknown) => void;
  Object.assign(response, {
    writeHead(status: number, ...rest: unknown[]) {
      const given = rest.find((item) => typeof item === "object" && item !== null) as OutgoingHttpHeaders | undefined;
      writeHead(status, given && without(given));
      return response;
    },
    setHeader(name: string, value: unknown) {
      if (!OF_A_CONNECTION.includes(name.toLowerCase())) setHeader(name, value);
      return response;
    },
  });
  return seen;
}

/** The connection is everybody's, and the listener has set both already: what a handler asks for is so. */
function tuned(socket: Socket): Socket {
  const asked = ["setKeepAlive", "setNoDelay"];
  return new Proxy(socket, {
    get: (target, name) => (asked.includes(String(name)) ? () => socket : Reflect.get(target, name)),
  });
}

function without(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_A_CONNECTION.includes(name.toLowerCase())));
}
