// Types of @leaderboard/live.

export type State = 'connecting' | 'live' | 'waiting' | 'closed';
export type TokenProvider = () => string | Promise<string>;
export type Query = Record<string, QueryValue | QueryValue[]>;
type QueryValue = string | number | boolean | Date | null | undefined;

/** What went wrong. `code` is stable: the server's (`rate_limited`, `board_not_found` …), or one of the client's own. */
export class Problem extends Error {
  constructor(
    code: string,
    detail: string,
    more?: { status?: number; title?: string; field?: string | null; retryAfterMs?: number | null; cause?: unknown },
  );
  code: string;
  detail: string;
  /** The HTTP status; 0 without one. */
  status: number;
  title: string;
  /** Where the fault is, such as `$.amount`. */
  field: string | null;
  retryAfterMs: number | null;
  /** What was sent, with its grant_ids: it is safe to send it again. */
  body: unknown;
}

export interface Grant {
  /** Unique in its namespace, and kept across retries. The client makes one where there is none. */
  grant_id?: string;
  user_id: string;
  amount: number;
  category?: string;
  source?: string;
  source_id?: string;
  action?: string;
  /** RFC 3339. */
  granted_at?: string;
  session_id?: string | null;
  meta?: Record<string, unknown>;
  opening?: boolean;
}

export interface Receipt {
  status: 'applied' | 'duplicate' | 'quarantined';
  grant_id: string;
  namespace: string;
  user_id: string;
  score: number | null;
  previous_score: number | null;
  seq: number;
  epoch: number;
  [more: string]: unknown;
}

export interface Rejection {
  status: 'rejected';
  grant_id: string | null;
  error: { code: string; detail: string; status: number; field?: string; retryable: boolean };
}

/** Results in the order of the grants. */
export interface BatchResult {
  applied: number;
  duplicate: number;
  rejected: number;
  results: (Receipt | Rejection)[];
}

export interface Entry {
  /** Unique; it orders the list. */
  position: number;
  /** By the namespace's ranking: equal scores may share one. */
  rank: number;
  user_id: string;
  score: number;
  display_name: string | null;
  avatar: string | null;
}

/** One state of a watched board. It never changes: each change brings a new one. */
export interface Board {
  /** The resolved window: `2025-11-04` for `day`. */
  readonly window: string;
  readonly starts: string | null;
  readonly ends: string | null;
  readonly epoch: number;
  readonly version: number;
  /** Users on the whole board. */
  readonly total: number;
  /** By position. */
  readonly entries: readonly Entry[];
  /** Of the view `stats` alone. */
  readonly stats?: Record<string, unknown>;
}

export interface BoardPage {
  namespace: string;
  window: string;
  category: string | null;
  version: number;
  total: number;
  next_cursor: string | null;
  entries: Entry[];
  [more: string]: unknown;
}

/** What led from one state to the next. A `snapshot` has all entries in `upsert`. */
export interface Change {
  type: 'snapshot' | 'delta';
  upsert: readonly Entry[];
  remove: readonly string[];
}

export type View =
  | { kind: 'top'; limit?: number }
  | { kind: 'around'; user: string; radius?: number }
  | { kind: 'users'; users: string[] }
  | { kind: 'stats' };

export type OnChange = (board: Board, change: Change) => void;
export type OnState = (state: State, problem: Problem | null) => void;

export interface Watch {
  namespace: string;
  /** `all`, `day`, `week` … or a window's name; default `all`. */
  window?: string;
  category?: string | null;
  /** Default: the first ten. */
  view?: View;
  onState?: OnState;
}

export interface Subscription {
  readonly state: State;
  /** Why it is not live. */
  readonly problem: Problem | null;
  /** The newest state; null before the first, and while there is no such board. */
  readonly board: Board | null;
  unsubscribe(): void;
}

export interface LiveConnection {
  readonly state: State;
  readonly problem: Problem | null;
  /** Watches a board until `unsubscribe`. At most 50 at a time. */
  subscribe(watch: Watch, onChange: OnChange): Subscription;
  /** Ends it and all its subscriptions, for good. */
  close(): void;
}

/** A WebSocket class: the browser's, that of Node from 22 on, or that of the package ws. */
export type WebSocketClass = new (url: string, protocols?: string) => any;

export interface ConnectOptions {
  onState?: OnState;
  /** Called with every fault, also those that pass; without it they go to `console.error`. */
  onError?: (problem: Problem) => void;
  /** How long a page may be hidden before its connection is closed; Infinity: for ever. Default 60,000. */
  hiddenMs?: number;
  /** How long the server may be silent before it is asked; default 35,000. */
  silenceMs?: number;
  /** How long it then has to answer; default 5,000. */
  answerMs?: number;
  WebSocket?: WebSocketClass;
  /** From 0 to below 1, for waits. */
  random?: () => number;
}

export interface Options {
  /** Where the server is. A page that loads this file from the server need not say it. */
  url?: string;
  /** An API key; never in a page or an app. */
  key?: string;
  /** A client token, or a function that gets one. It is asked again whenever the server does not accept the last one. */
  token?: string | TokenProvider;
  /** Of each call, with all its tries; default 15,000. */
  deadlineMs?: number;
  fetch?: typeof globalThis.fetch;
  WebSocket?: WebSocketClass;
  random?: () => number;
}

export interface Call {
  query?: Query;
  body?: unknown;
  /** More header fields, such as `Idempotency-Key`. */
  headers?: Record<string, string>;
  deadlineMs?: number;
  signal?: AbortSignal;
  /** Whether it is safe to send it twice; default: unless it is a POST or a PATCH. A 429 is repeated unless this is false. */
  retry?: boolean;
}

export interface Client {
  request(method: string, segments: string[], call?: Call): Promise<any>;
  grant(namespace: string, grant: Grant, call?: Call): Promise<Receipt>;
  batch(namespace: string, grants: Grant[], call?: Call): Promise<BatchResult>;
  board(namespace: string, window?: string, query?: Query, call?: Call): Promise<BoardPage>;
  around(namespace: string, window: string, user: string, query?: Query, call?: Call): Promise<BoardPage>;
  user(namespace: string, user: string, call?: Call): Promise<any>;
  explain(namespace: string, user: string, query?: Query, call?: Call): Promise<any>;
  connect(options?: ConnectOptions): LiveConnection;
}

export class Leaderboard implements Client {
  constructor(options?: Options);
  request(method: string, segments: string[], call?: Call): Promise<any>;
  grant(namespace: string, grant: Grant, call?: Call): Promise<Receipt>;
  batch(namespace: string, grants: Grant[], call?: Call): Promise<BatchResult>;
  board(namespace: string, window?: string, query?: Query, call?: Call): Promise<BoardPage>;
  around(namespace: string, window: string, user: string, query?: Query, call?: Call): Promise<BoardPage>;
  user(namespace: string, user: string, call?: Call): Promise<any>;
  explain(namespace: string, user: string, query?: Query, call?: Call): Promise<any>;
  connect(options?: ConnectOptions): LiveConnection;
}
