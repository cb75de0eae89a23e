// Light or dark: what the system says, until the user says otherwise.

import { apply, h, setText } from './dom';

type Theme = 'light' | 'dark';

const KEY = 'tidegate-theme';

export function themeButton(): HTMLElement {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const current = (): Theme => stored() ?? (system.matches ? 'dark' : 'light');
  const button = h('button', { class: 'button quiet', type: 'button', 'data-testid': 'theme' });
  const update = () => {
    const chosen = stored();
    apply(document.documentElement, { 'data-theme': chosen });
    setText(button, current() === 'dark' ? 'Light theme' : 'Dark theme');
  };
  button.addEventListener('click', () => {
    localStorage.setItem(KEY, current() === 'dark' ? 'light' : 'dark');
    update();
  });
  system.addEventListener('change', update);
  update();
  return button;
}

function stored(): Theme | null {
  const value = localStorage.getItem(KEY);
  return value === 'light' || value === 'dark' ? value : null;
}
