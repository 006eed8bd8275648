import { COMMON_SCOPES, onDay, type ProviderService } from './provider-service.ts';

interface Task {
  id: string;
  title: string;
  dueAt: string;
  list: string;
}

type Entry = readonly [title: string, daysAhead: number, list: string];

const ENTRIES: Readonly<Record<string, readonly Entry[]>> = {
  amber: [
    ['Send the agenda', 1, 'Work'],
    ['Book the train', 2, 'Travel'],
    ['Read the contract', 3, 'Work'],
  ],
  violet: [
    ['Water the plants', 1, 'Home'],
    ['Return the library books', 4, 'Home'],
  ],
};

/** The same tasks every time for an account, due on the days after `now`. */
function tasksOf(accountId: string, now: Date): Task[] {
  return (ENTRIES[accountId] ?? []).map(([title, daysAhead, list], index) => ({
    id: `${accountId}-${index + 1}`,
    title,
    dueAt: onDay(now, daysAhead, 18).toISOString(),
    list,
  }));
}

export const TASK_LIST: ProviderService = {
  key: 'tasks',
  title: 'Local task list provider',
  accent: ['#7a3e9d', '#d3a6f0'],
  accounts: [
    { id: 'amber', name: 'Task account amber', email: 'amber@example.com', colour: '#d99a2b' },
    { id: 'violet', name: 'Task account violet', email: 'violet@example.com', colour: '#9a63c9' },
  ],
  scopes: {
    ...COMMON_SCOPES,
    'tasks.read': 'See your tasks and when they are due',
    'tasks.write': 'Add, change and tick off tasks',
  },
  api: { path: '/tasks', resource: 'tasks', scope: 'tasks.read', itemsOf: tasksOf },
};
