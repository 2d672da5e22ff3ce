// What went wrong.

/**
 * An error with a stable `code`: one of the server's (`rate_limited`, `board_not_found` …), or one of the client's own:
 *
 * `unreachable` no answer · `bad_answer` an answer that is not the server's · `token_unavailable` the token provider failed ·
 * `connection_lost` · `silence` · `gap` a frame was missed · `draining` the server shuts down · `hidden` the page is not shown ·
 * `closed` · `close_4001` … the server closed the connection with this code · `callback` a function of yours threw; `cause` has it.
 */
export class Problem extends Error {
  /**
   * @param {string} code
   * @param {string} detail
   * @param {{status?: number, title?: string, field?: string | null, retryAfterMs?: number | null, cause?: unknown}} [more]
   */
  constructor(code, detail, { status = 0, title = '', field = null, retryAfterMs = null, cause } = {}) {
    super(`${code}: ${detail}`, cause === undefined ? undefined : { cause });
    this.name = 'Problem';
    this.code = code;
    this.detail = detail;
    this.status = status;
    this.title = title;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
    /** What was sent, with its grant_ids: it is safe to send it again. @type {unknown} */
    this.body = undefined;
  }
}
