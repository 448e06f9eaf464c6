/** Checks that every migration is applied and that the schema still is what the migrations created. */
import { countOf } from '../../counting.js';
import type { MigrationStatus } from '../../migrations/status.js';
import type { Check } from '../check.js';
import type { Problem } from '../problem.js';

export const checkMigrations: Check = ({ migrations: { pending, drift } }) => [
  ...pendingProblems(pending),
  ...drift.map(({ object, problem }): Problem => {
    const message = `${object}: ${problem}`;
    return { code: 'schema_drift', message, hint: 'calendly-sync migrate --status' };
  }),
];

function pendingProblems(pending: MigrationStatus['pending']): Problem[] {
  if (pending.length === 0) return [];
  const names = pending.map(({ version, name }) => `${version}_${name}`).join(', ');
  const effect = pending.some(({ version }) => Number(version) === 22)
    ? '; without 022 every sync is a full one, and webhook events are not recorded'
    : '';
  const message = `${countOf(pending.length, 'migration')} not applied: ${names}${effect}`;
  return [{ code: 'migrations_pending', message, hint: 'calendly-sync migrate' }];
}
