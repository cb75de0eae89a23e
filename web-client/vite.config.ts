import { defineConfig } from 'vite';

export default defineConfig({
  // The server may serve the page under any prefix, so every address in it is relative.
  base: './',
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: false },
});
