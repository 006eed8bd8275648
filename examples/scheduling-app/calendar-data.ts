export interface CalendarAccount {
  id: string;
  name: string;
  email: string;
}

export interface CalendarEvent {
  id: string;
  title: string;
  startsAt: string;
  endsAt: string;
  place: string;
}

export const CALENDAR_ACCOUNTS: readonly CalendarAccount[] = [
  { id: 'blue', name: 'Calendar account blue', email: 'blue@example.com' },
  { id: 'green', name: 'Calendar account green', email: 'green@example.com' },
];

/** What each scope allows, in the words of the consent page. `openid` is not a choice: without it there is no account. */
export const CALENDAR_SCOPES: Readonly<Record<string, string>> = {
  openid: 'Know which account this is',
  email: 'See your e-mail address',
  profile: 'See your name',
  'calendar.read': 'See the events in your calendar',
  'calendar.write': 'Add, change and delete events in your calendar',
  offline_access: 'Keep access while you are away',
};

type Slot = readonly [title: string, daysAhead: number, hour: number, minutes: number, place: string];

const SLOTS: Readonly<Record<string, readonly Slot[]>> = {
  blue: [
    ['Planning for the week', 1, 9, 45, 'Room 2'],
    ['Design review', 1, 14, 60, 'Video call'],
    ['Lunch with the new team', 2, 12, 60, 'Canteen'],
    ['Release check', 4, 16, 30, 'Room 5'],
  ],
  green: [
    ['Dentist', 1, 8, 30, 'Station square 4'],
    ['Customer interview', 2, 10, 45, 'Video call'],
    ['Budget round', 3, 13, 90, 'Room 1'],
  ],
};

/** The same events every time for an account, on the days after `now`. */
export function eventsOf(accountId: string, now: Date): CalendarEvent[] {
  return (SLOTS[accountId] ?? []).map(([title, daysAhead, hour, minutes, place], index) => {
    const start = new Date(now.getFullYear(), now.getMonth(), now.getDate() + daysAhead, hour);
    const end = new Date(start.getTime() + minutes * 60_000);
    return { id: `${accountId}-${index + 1}`, title, startsAt: start.toISOString(), endsAt: end.toISOString(), place };
  });
}
