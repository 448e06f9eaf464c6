/** How `users.id` is written in JSON. Inside the tool ids are text, whatever the type of the column. */

/** A users.id in JSON. */
export type UserId = string | number;

/**
 * The id as a JSON number where it is one that a double holds exactly, else as text (uuid, text, very large bigint).
 */
export function userIdForJson(id: string): UserId {
  if (!/^-?(0|[1-9]\d{0,15})$/.test(id)) return id;
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}
