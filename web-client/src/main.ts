import './style/base.css';
import './style/masthead.css';
import './style/tabs.css';
import './style/panel.css';
import './style/parts.css';

import { createLanes } from './model/lane';
import { loadSettings } from './net/settings';
import { installWebTransport } from './net/webtransport';
import { App } from './view/app';
import { h } from './view/dom';

const CHANNEL = 'demo';

async function start(root: HTMLElement): Promise<void> {
  const settings = await loadSettings();
  const natives = { WebSocket, EventSource, fetch: fetch.bind(globalThis) };
  installWebTransport(settings.certificate);
  const around = { settings, natives, page: new URL(location.href), token: null };
  const [automatic, ...single] = createLanes(around, CHANNEL);
  if (automatic !== undefined) new App(root, around, [automatic, ...single]);
}

const root = document.getElementById('app');
if (root !== null) {
  start(root).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    root.replaceChildren(h('p', { class: 'fatal', role: 'alert' }, `The page could not start: ${why}`));
  });
}
