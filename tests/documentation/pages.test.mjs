// Runs every example of the documentation against a real server.
//
// An example is a fenced block; the words behind its fence say what it is. A block with other words, or none, fails
// the test, so that no example can be forgotten. Blocks of a page run in their order and share one directory, one
// shell and one server at a time.
//
//   ```json config    A configuration. It must be good without a warning, and the page's server is started with it
//                     anew; only address and port are the test's, and API key and token secret where it has none.
//                     With `lenient` behind it, warnings are allowed.
//   ```json token N   Claims of a token, signed with that server's secret. `<N>`, or `<token>` without a name,
//                     stands for the token in later blocks.
//   ```sh             A script for `sh -eu`, with `tidegate` in the path and the configuration as `config.json`.
//                     Functions on one line stay for the next script. `http://localhost:8000` is the server.
//   ```sh serve       The same, but its last line starts a server, which is stopped again once it serves.
//   ```json answer    What the script before it prints.
//   ```json log       Lines of the server's log, but for time and path.
//   ```transcript     A WebSocket: `>` is sent, `<` must come, `! METHOD JSON` calls the server API, and
//                     `x CODE REASON` is the close.
//   ```js             A module with the published SDK, run by Node until the next one. Addresses of `rt.example.com`
//                     lead to the server, and `app.example.com` is an application that makes tokens for user 42.
//   ```js output      What the module prints next.
//
// In what is expected, `<name>` stands for anything the first time and for the same ever after. So does an epoch or
// an identifier, without brackets: the page shows one that a server once made.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';

import { blocksOf } from './blocks.mjs';
import { Page } from './page.mjs';

const DOCS = new URL('../../docs/', import.meta.url);
// Made from tables of the code, and compared with them by tests of their own.
const GENERATED = ['configuration.md', 'codes.md'];
const PAGES = readdirSync(DOCS).filter((name) => name.endsWith('.md') && !GENERATED.includes(name));

for (const name of PAGES) {
  const blocks = blocksOf(readFileSync(new URL(name, DOCS), 'utf8'));
  if (blocks.length === 0) continue;
  describe(`docs/${name}`, () => {
    test('every example', { timeout: 120_000 }, async (t) => {
      const page = await Page.open(name);
      try {
        for (const block of blocks) {
          await t.test(`line ${block.line}: ${block.info || 'a block without words'}`, () => page.run(block));
        }
      } finally {
        await page.close();
      }
    });
  });
}
