// Fenced blocks of a page, with the line of their fence. A block may be indented as a part of a list.

const FENCE = /^( *)```(.*)$/;

export function blocksOf(text) {
  const blocks = [];
  let open = null;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = FENCE.exec(line);
    if (!fence) {
      open?.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
    } else if (open) {
      blocks.push({ info: open.info, line: open.line, text: open.lines.join('\n') });
      open = null;
    } else {
      open = { indent: fence[1], info: fence[2].trim(), line: index + 1, lines: [] };
    }
  }
  if (open) throw new Error(`the fence of line ${open.line} is never closed`);
  return blocks;
}
