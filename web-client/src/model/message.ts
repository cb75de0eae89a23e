// A publication as the page shows it.

export interface Message {
  readonly key: number;
  readonly text: string;
  readonly offset: number | null;
  /** Who published: this connection, another client, or the server API. */
  readonly author: 'own' | 'client' | 'api';
  readonly publisher: string | null;
  /** Whether it was missed and came with the recovery. */
  readonly recovered: boolean;
  /** The experiment that published it while this connection was cut. */
  readonly missed: string | null;
  readonly at: number;
}

interface Arrival {
  readonly key: number;
  readonly data: unknown;
  readonly offset: number | null;
  readonly publisher: string | null;
  readonly ownId: string;
  readonly recovered: boolean;
  readonly missed: string | null;
  readonly at: number;
}

export function messageOf(arrival: Arrival): Message {
  const { data, ownId, publisher, ...rest } = arrival;
  const author = publisher === null ? 'api' : publisher === ownId ? 'own' : 'client';
  return { ...rest, publisher, author, text: textOf(data) };
}

/** The text of a `{"text": …}`, and JSON of everything else. */
export function textOf(data: unknown): string {
  if (typeof data === 'string') return data;
  if (isObject(data) && typeof data['text'] === 'string') return data['text'];
  return JSON.stringify(data) ?? '';
}

export function readMissed(data: unknown): string | null {
  return isObject(data) && typeof data['missed'] === 'string' ? data['missed'] : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
