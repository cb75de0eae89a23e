// The head of the page: name, version, a token for servers that ask for one, and the theme.

import type { Settings } from '../net/settings';
import { h, svg } from './dom';
import { themeButton } from './theme';

interface Actions {
  connectAll(): void;
  useToken(token: string): void;
}

export function header(settings: Settings, actions: Actions): HTMLElement {
  const token = h('input', { id: 'token', type: 'password', autocomplete: 'off', placeholder: 'JWT', 'data-testid': 'token' });
  const form = h(
    'form',
    {
      class: 'row',
      onsubmit: (event: Event) => {
        event.preventDefault();
        actions.useToken(token.value.trim());
      },
    },
    h('label', { for: 'token' }, 'Connection token'),
    token,
    h('button', { class: 'button', type: 'submit' }, 'Use'),
  );
  return h(
    'header',
    { class: 'masthead' },
    mark(),
    h(
      'div',
      { class: 'masthead-text' },
      h('h1', {}, settings.name, h('span', { class: 'version', 'data-testid': 'version' }, settings.version)),
      h('p', {}, 'Real-time messages over WebTransport first, and over what else there is behind it.'),
    ),
    h(
      'div',
      { class: 'masthead-actions' },
      h('button', { class: 'button', type: 'button', 'data-testid': 'connect-all', onclick: () => actions.connectAll() }, 'Connect all'),
      themeButton(),
    ),
    h('details', { class: 'credentials' }, h('summary', {}, 'Credentials'), form),
  );
}

/** The mark: a gate over the tide. */
function mark(): SVGElement {
  const wave = 'q4 -5 8 0t8 0t8 0t8 0';
  return svg(
    'svg',
    { class: 'mark', viewBox: '0 0 48 48', 'aria-hidden': 'true' },
    svg('path', { class: 'mark-gate', d: 'M10 25V9h28v16M10 13h28M17 13v12M24 13v12M31 13v12' }),
    svg('path', { class: 'mark-wave', d: `M8 31${wave}` }),
    svg('path', { class: 'mark-wave faint', d: `M8 38${wave}` }),
  );
}
