import { COMMON_SCOPES, onDay, type ProviderService } from './provider-service.ts';

interface CalendarEvent {
  id: string;
  title: string;
  startsAt: string;
  endsAt: string;
  place: string;
}

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
function eventsOf(accountId: string, now: Date): CalendarEvent[] {
  return (SLOTS[accountId] ?? []).map(([title, daysAhead, hour, minutes, place], index) => {
    const start = onDay(now, daysAhead, hour);
    const end = new Date(start.getTime() + minutes * 60_000);
    return { id: `${accountId}-${index + 1}`, title, startsAt: start.toISOString(), endsAt: end.toISOString(), place };
  });
}

export const CALENDAR: ProviderService = {
  key: 'calendar',
  title: 'Local calendar provider',
  accent: ['#1b6e4b', '#6fd3a4'],
  accounts: [
    { id: 'blue', name: 'Calendar account blue', email: 'blue@example.com', colour: '#5b86ea' },
    { id: 'green', name: 'Calendar account green', email: 'green@example.com', colour: '#34a36f' },
  ],
  scopes: {
    ...COMMON_SCOPES,
    'calendar.read': 'See the events in your calendar',
    'calendar.write': 'Add, change and delete events in your calendar',
  },
  api: { path: '/events', resource: 'events', scope: 'calendar.read', itemsOf: eventsOf },
};
