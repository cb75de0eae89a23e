// Assertions that run in Node and in a browser alike: the scenario may not know where it is.

export function ok(value, what) {
  if (!value) throw new Error(what);
}

export function equal(actual, expected, what) {
  if (!Object.is(actual, expected)) {
    throw new Error(`${what}: expected ${show(expected)}, got ${show(actual)}`);
  }
}

/** Compares JSON-like values; the order of object keys is of no account. */
export function same(actual, expected, what) {
  const [left, right] = [canonical(actual), canonical(expected)];
  if (left !== right) throw new Error(`${what}: expected ${cut(right)}, got ${cut(left)}`);
}

/** Expects the promise to fail with an error of this code and returns the error. */
export async function fails(promise, code, what) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    equal(error.code, code, `${what} (${error.message})`);
    return error;
  }
  throw new Error(`${what}: expected error ${code}, got ${show(value)}`);
}

/** The first place where a list of numbers is not `first, first + 1, …`; order is the product's promise. */
export function consecutive(numbers, first, count, what) {
  const wrong = numbers.findIndex((number, index) => number !== first + index);
  if (wrong >= 0) {
    const around = numbers.slice(Math.max(0, wrong - 3), wrong + 4);
    throw new Error(`${what}: out of order at position ${wrong}: … ${around.join(', ')} …`);
  }
  equal(numbers.length, count, `${what}: how many`);
}

function canonical(value) {
  return JSON.stringify(value, (_key, inner) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function show(value) {
  return cut(JSON.stringify(value) ?? String(value));
}

function cut(text) {
  if (text === undefined) return 'undefined';
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}
