// Builds what a checkout runs. Without the development dependencies (`npm ci --omit=dev`) an existing build stays.
import { execSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

if (existsSync('node_modules/typescript')) {
  execSync('npm run --silent build', { stdio: 'inherit' });
} else if (!existsSync('dist/bin/calendly-sync.js')) {
  console.error(
    'There is no build in dist/, and TypeScript is not installed: run `npm ci` without --omit=dev.',
  );
  process.exit(1);
}
// A copy of an empty embedded database: creating one then takes less time. Nothing depends on it.
await import(pathToFileURL('dist/src/database/embedded/template.js').href)
  .then(({ writeTemplate }) => writeTemplate())
  .catch(console.warn);
