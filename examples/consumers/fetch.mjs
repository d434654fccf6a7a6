#!/usr/bin/env node
// fetch.mjs PIXEL                            keep the token of a Pixel, and take a new one as soon as there is one
// fetch.mjs PIXEL report CODE [REQUEST-ID]   tell the vault that TikTok refused the token (40105: it looks at once)
//
// Node 18 or newer, no dependencies. In a program of yours: keep one PixelToken for each Pixel, read `.token` whenever you
// send, call `.report(40105, requestId)` when TikTok refuses.
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const socketPath = process.env.PIXELVAULT_SOCKET ?? '/run/pixelvault/agent.sock';
const consumer = process.env.CONSUMER ?? 'fetch.mjs'; // who you are; the audit log shows it

/** One exchange with the agent: { status, headers, body }. Rejects when it is away. */
function ask(method, path, headers = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers: { 'X-Consumer': consumer, ...headers }, timeout: 40_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece) => (text += piece)).on('error', reject)
        .on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: text }));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer in 40 s'))).on('error', reject).end(body);
  });
}

export class PixelToken {
  #token; // private: console.log(pixel) does not show it
  etag;
  constructor(pixel, onChange = () => {}) {
    Object.assign(this, { pixel, onChange });
  }

  get token() {
    return this.#token;
  }

  /** Follows the Pixel's token for ever. Do not await it; read `token` when you send. */
  async follow() {
    for (let delay = 1; ; ) {
      try {
        await this.#askOnce();
        delay = 1;
      } catch (e) {
        // Away, locked, or none for us: keep the token that we have. 50-100% of the delay, so that a thousand consumers
        // do not come back in the same instant.
        console.error(`${this.pixel}: ${e.message}; using ${this.etag ?? 'nothing'} until there is an answer`);
        await sleep(delay * 1000 * (0.5 + Math.random() / 2));
        delay = Math.min(delay * 2, 60);
      }
    }
  }

  // With an ETag the agent holds its answer for up to 30 s: 200 at once when the version changes, else 304.
  async #askOnce() {
    const waiting = this.etag ? { 'If-None-Match': this.etag, Prefer: 'wait=30' } : {};
    const { status, headers, body } = await ask('GET', `/v1/pixels/${this.pixel}/token`, waiting);
    if (status === 304) {
      if (!headers['preference-applied']) await sleep(500 + Math.random() * 500); // it did not wait: so we do
      return;
    }
    if (status !== 200) throw new Error(`the agent answered ${status}`);
    this.#token = body;
    this.etag = headers.etag;
    this.onChange(this);
  }

  /** TikTok answers HTTP 200 also when it refuses: read `code` in its answer, and report 40105 (revoked). */
  async report(code, requestId = '') {
    const body = JSON.stringify({ code, request_id: requestId });
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    return (await ask('POST', `/v1/pixels/${this.pixel}/report`, headers, body)).status === 202;
  }
}

// Your work: send with { 'Access-Token': pixel.token }, read anew for each request.
const [code, verb, ...rest] = process.argv.slice(2);
const pixel = new PixelToken(code, (p) => console.log(`${p.pixel}: version ${p.etag}, a token of ${p.token.length} characters`));
if (verb === 'report') process.exitCode = (await pixel.report(Number(rest[0]), rest[1])) ? 0 : 1;
else pixel.follow();
