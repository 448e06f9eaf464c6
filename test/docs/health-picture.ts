/**
 * Draws docs/health.svg from what `health` really prints: `npm run docs`. Runs the program against the sandbox and a new
 * embedded database.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSandbox } from '../../src/sandbox/sandbox.js';
import { packageRoot } from '../../src/version.js';
import { runCli } from '../support/cli.js';

const COLUMNS = 96;
const [CHARACTER, LINE, MARGIN] = [8.43, 20, 16];
const COLORS: Record<string, string> = { '31': '#ff7b72', '32': '#56d364', '33': '#e3b341', '2': '#8b949e' };

const home = mkdtempSync(join(tmpdir(), 'health-picture-'));
const sandbox = await startSandbox({ events: 250, hosts: 2, rateLimit: 50_000 });
try {
  const settings = {
    DATABASE_URL: 'embedded',
    CALENDLY_SYNC_HOME: home,
    CALENDLY_API_URL: sandbox.url,
    CALENDLY_TOKEN: sandbox.hosts[0]?.token ?? '',
  };
  for (const argv of [['sync'], ['sync']]) await runCli(argv, settings, { cwd: home });
  const { stdout } = await runCli(
    ['health'],
    { ...settings, FORCE_COLOR: '1' },
    { cwd: home, columns: COLUMNS },
  );
  const text = stdout.replaceAll(home, '/srv/app/.calendly-sync').trimEnd();
  writeFileSync(
    join(packageRoot, 'docs/health.svg'),
    picture(['$ calendly-sync health', ...text.split('\n')]),
  );
} finally {
  await sandbox.close();
  rmSync(home, { recursive: true, force: true });
}

/** Lines with ANSI colors as an SVG. */
function picture(lines: string[]): string {
  const [width, height] = [COLUMNS * CHARACTER + 2 * MARGIN, lines.length * LINE + 2 * MARGIN];
  const rows = lines.map((line, index) => {
    const y = MARGIN + (index + 0.75) * LINE;
    return `<text x="${MARGIN}" y="${y}" xml:space="preserve">${spans(line)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="The health report in a terminal">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3">
${rows.join('\n')}
</g>
</svg>
`;
}

function spans(line: string): string {
  let style = '';
  return line
    .split(/(\x1b\[\d+m)/)
    .map((part) => {
      const code = /^\x1b\[(\d+)m$/.exec(part)?.[1];
      if (code === undefined) return part === '' ? '' : `<tspan${style}>${escaped(part)}</tspan>`;
      style = code === '1' ? ' font-weight="bold"' : COLORS[code] ? ` fill="${COLORS[code]}"` : '';
      return '';
    })
    .join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
