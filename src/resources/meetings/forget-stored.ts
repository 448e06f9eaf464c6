/** The stored rows of a meeting without people who were erased. Pure. */
import type { InviteeRow, StoredInvitee } from '../../database/tables/invitees.js';
import type { MeetingRow, StoredMeeting } from '../../database/tables/meetings.js';
import { PERSONAL } from '../../database/tables/personal.js';
import { type Erased, forgetInEvent, forgetInText, forgetInvitee, isForgotten } from './forget.js';
import { inviteeRow, meetingRow, sameRow } from './rows.js';

/** The rows that change; null, and no invitees, if none does. */
export function forgottenRows(
  meeting: StoredMeeting,
  invitees: StoredInvitee[],
  erased: Erased,
): { meeting: (MeetingRow & { id: string }) | null; invitees: (InviteeRow & { meeting_id: string })[] } {
  const isOfForgotten = invitees.some(({ raw }) => isForgotten(raw, erased));
  const rows = invitees.flatMap((invitee) => {
    const row = invitee.raw && inviteeRow(forgetInvitee(invitee.raw, erased));
    return row === null || sameRow(row, invitee) ? [] : [{ ...row, meeting_id: invitee.meeting_id }];
  });
  return { meeting: forgottenMeeting(meeting, erased, isOfForgotten), invitees: rows };
}

/** A row that another integration wrote, and that no sync has read yet, is the application's. */
function forgottenMeeting(
  known: StoredMeeting,
  erased: Erased,
  isOfForgotten: boolean,
): (MeetingRow & { id: string }) | null {
  if (known.raw === null) return null;
  const raw = forgetInEvent(known.raw, erased, isOfForgotten);
  const derived = meetingRow(raw);
  const row = { ...known, raw };
  for (const name of PERSONAL_IN_MEETINGS) Object.assign(row, { [name]: derived[name] });
  // The application may have asked for another one than Calendly's.
  row.title = known.title && forgetInText(known.title, erased);
  return sameRow(row, known) ? null : row;
}

const { text = [], json = [] } = PERSONAL.meetings ?? {};
const PERSONAL_IN_MEETINGS = [...text, ...json].filter((name) => name !== 'title') as (keyof MeetingRow)[];
